import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { shellLine } from '../../../demo/shell-line.js'

/** Prints after each script, with the exit status. */
const END_MARK = '\u001e'
/** With job control, as at a terminal, so that `kill %1` finds a job; what still runs at the end is ended. */
const PREPARATION = `exec 2>&1
set -m
trap 'for job in $(jobs -p); do kill -- "-$job"; done 2>/dev/null' EXIT
`

export interface ShellSession {
  /** Runs lines as if they were typed. @returns what they print @throws {Error} where the last of them fails */
  run(script: string): Promise<string>
  /** Ends the shell and its jobs. */
  close(): Promise<void>
}

/** Starts bash in a folder: variables, functions and jobs of one script stay for the next. */
export function openShell(folder: string, env: NodeJS.ProcessEnv): ShellSession {
  const child = spawn('bash', ['--norc', '--noprofile'], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const closed = once(child, 'close')
  child.stdin.on('error', () => undefined) // it has ended: see below
  child.stdin.write(PREPARATION)
  const output = child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })
  let read = ''
  const untilMark = async (script: string): Promise<RegExpExecArray> => {
    for (;;) {
      const found = new RegExp(`^([\\s\\S]*?)\\n${END_MARK}(\\d+)\\n`).exec(read)
      if (found !== null) return found
      const { value, done } = await output.next()
      if (done === true) throw new Error(`the shell has ended at\n${script}\nit printed\n${read}`)
      read += value
    }
  }
  return {
    run: async script => {
      child.stdin.write(`${shellLine(['eval', script])} </dev/null\nprintf '\\n${END_MARK}%s\\n' $?\n`)
      const [whole, printed = '', status] = await untilMark(script)
      read = read.slice(whole.length)
      if (status !== '0') throw new Error(`exit code ${status} of\n${script}\nit printed\n${printed}`)
      return printed
    },
    close: async () => {
      child.stdin.end()
      child.stdout.resume()
      await closed
    }
  }
}
