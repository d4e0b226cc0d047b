import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { treelineCommand } from './relay-process.js'

const HEARD_WITHIN_MS = 1_000

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
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  // A Ctrl-C ends it as well, maybe before we hear of it ourselves.
  if (code === null) await delay(HEARD_WITHIN_MS, undefined, { signal: interruption })
  interruption.throwIfAborted()
  return { code: code ?? 1, output: lines.join('\n') }
}
