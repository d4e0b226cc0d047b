import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { treelineCommand } from './relay-process.js'
import { printed } from './terminal.js'

const HEARD_WITHIN_MS = 1_000

export interface ProgramOptions {
  /** The folder in which it runs: paths of its arguments count from there. */
  readonly folder: string
  /** Ends it. */
  readonly interruption: AbortSignal
  /** The text that it reads on standard input; nothing by default. */
  readonly input?: string
  /** Whether a line is shown; all are by default. */
  readonly isShown?: (line: string) => boolean
}

/**
 * Runs `treeline` as a user would, and shows its output as it comes, with the paths that count from its folder.
 */
export function runTreeline(args: readonly string[], options: ProgramOptions): Promise<ProgramEnd> {
  const { program, args: all } = treelineCommand(args)
  return runProgram(program, all, options)
}

export interface ProgramEnd {
  readonly code: number
  /** All that it printed. */
  readonly output: string
}

/** Runs any program, as {@link runTreeline} does. */
export async function runProgram(
  program: string,
  args: readonly string[],
  { folder, interruption, input, isShown = () => true }: ProgramOptions
): Promise<ProgramEnd> {
  const child = spawn(program, args, { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'], signal: interruption })
  child.stdin.on('error', () => undefined) // it may have ended without reading
  child.stdin.end(input ?? '')
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', line => {
      lines.push(line)
      if (interruption.aborted || !isShown(line)) return
      printed(line.replaceAll(`${folder}/`, ''))
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
