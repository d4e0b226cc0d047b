import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { treelineCommand } from './relay-process.js'

/**
 * Runs `treeline` as a user would, showing what it prints as it comes; `interruption` ends it.
 * @returns exit code and all that it printed
 */
export async function runTreeline(
  args: readonly string[],
  interruption: AbortSignal
): Promise<{ code: number; output: string }> {
  const { program, args: all } = treelineCommand(args)
  const child = spawn(program, all, { stdio: ['ignore', 'pipe', 'pipe'], signal: interruption })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', line => {
      lines.push(line)
      if (interruption.aborted) return
      process.stdout.write(`   │ ${line}\n`)
    })
  }
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', exitCode => resolve(exitCode ?? 1))
  })
  interruption.throwIfAborted()
  return { code, output: lines.join('\n') }
}
