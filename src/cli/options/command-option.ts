import { isAbsolute } from 'node:path'
import { whyNotRunnable } from '../checks/runnable-command.js'
import { UsageError } from '../command-error.js'

export const COMMAND_OPTION = [
  '--command <file>',
  'program that runs the agent of this machine, as `<file> agent run`',
  '/opt/rudder/bin/rudder'
] as const

/** The value of `--command`. @throws {UsageError} */
export function readCommand(text: string): string {
  if (isAbsolute(text) && !/\p{C}/u.test(text)) return text
  throw new UsageError(`--command should be the path of a program, beginning with /, not ${JSON.stringify(text)}`)
}

/** A line for whoever set the machine up, where runs of it cannot succeed yet. @param folder has its configuration */
export async function commandHint(command: string, kind: 'relay' | 'node', folder: string): Promise<string> {
  const why = await whyNotRunnable(command)
  if (why === undefined) return ''
  const otherwise =
    kind === 'relay'
      ? `remote_run.command in ${folder}/main.conf names another program and the relay is restarted`
      : `agent.command in ${folder}/agent.conf names another program`
  return `\nnote: ${command} ${why}: runs of this machine fail until that is mended, or until ${otherwise}`
}
