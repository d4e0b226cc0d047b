import type { Readable } from 'node:stream'
import { answerChunks } from './answer-lines.js'
import { LineSplitter } from './line-splitter.js'
import type { RunProgress } from './run-progress.js'

/**
 * Hands on what a relay that only speaks text says, in whole lines, as long as it takes.
 * @returns why its answer broke off; undefined when it came to its end
 */
export async function passText(
  body: Readable,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: RunProgress },
  pass: (lines: string) => void
): Promise<string | undefined> {
  const splitter = new LineSplitter()
  const passWhole = (lines: string) => {
    if (lines !== '') pass(lines)
  }
  let lost: string | undefined
  try {
    for await (const chunk of answerChunks(body, 0, signal)) {
      passWhole(splitter.push(chunk))
      await progress.ready()
    }
  } catch (error) {
    lost = error instanceof Error ? error.message : String(error)
  }
  passWhole(splitter.end())
  return lost
}
