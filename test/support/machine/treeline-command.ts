import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { treelineCommand } from '../../../demo/relay-process.js'
import { removeFolder } from './remove-folder.js'

const ROOT = join(import.meta.dirname, '../../..')

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  /** Resolves once standard output has the text. */
  printed(text: string): Promise<void>
  readonly ended: Promise<Ended>
  /** The standard output so far. */
  soFar(): string
}

/** Starts the command as it ships. It is ended with the test, if it still runs then. @param stdout a file, which gets its output */
export function startTreeline(
  t: TestContext,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stdout?: string
): Running {
  const command = treelineCommand(args)
  return startProcess(t, command.program, command.args, env, stdout)
}

/** Runs the command as it ships to its end. */
export function treeline(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return startTreeline(t, args, env).ended
}

export function startProcess(
  t: TestContext,
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  output?: string
): Running {
  const outputFile = output === undefined ? undefined : openSync(output, 'a')
  const child: ChildProcess = spawn(file, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', outputFile ?? 'pipe', 'pipe']
  })
  if (outputFile !== undefined) closeSync(outputFile)
  t.after(() => child.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  const waiting = new Set<() => void>()
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    for (const look of waiting) look()
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject).on('close', code => resolve({ code, stdout, stderr }))
  })
  const printed = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!stdout.includes(text)) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      child.on('close', () => reject(new Error(`ended without printing ${JSON.stringify(text)}: ${stdout}${stderr}`)))
      look()
    })
  return { child, printed, ended, soFar: () => stdout }
}

/** A folder that goes with the test. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-test-'))
  t.after(() => removeFolder(folder))
  return folder
}
