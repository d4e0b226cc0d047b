import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Runs a command to its end. @returns its stdout @throws {Error} with its stderr, when it fails */
export async function run(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<string> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code ?? signal}: ${stderr.slice(-2_000)}`)
  return stdout
}

/** Runs a program that stands beside this file, giving it `input` as JSON. @returns the JSON that it printed */
export async function runProgram(name: string, input: unknown): Promise<unknown> {
  return JSON.parse(await run(process.execPath, [programPath(name), JSON.stringify(input)]))
}

/** Starts a program that stands beside this file; resolves with its first line on stdout. */
export async function startProgram(name: string, input: unknown): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, [programPath(name), JSON.stringify(input)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(text.trim()))
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`${name} ended with ${code} before it was ready`)))
  })
  return { child, line }
}

/** Ends a process and waits until it has gone. */
export async function endProcess(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

function programPath(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url))
}
