import type { Readable } from 'node:stream'
import { errorMessage } from '../../../values/failures/system-error.js'
import { LineSplitter } from '../../execution/line-splitter.js'
import type { RunProgress } from '../../progress/run-progress.js'
import { responseChunks } from '../response-lines.js'

export interface TextReading {
  readonly signal: AbortSignal
  readonly progress: RunProgress
  /** Called for each chunk; what it throws ends the reading. */
  readonly check: () => void
}

/**
 * Hands on what a relay that only speaks text says, in whole lines, as long as it takes.
 * @param silenceMs after which it is given up
 * @returns why its answer broke off; undefined when it came to its end
 */
export async function forwardTextResponse(
  body: Readable,
  { signal, progress, check }: TextReading,
  silenceMs: number,
  pass: (lines: string) => void
): Promise<string | undefined> {
  const splitter = new LineSplitter()
  const passWhole = (lines: string) => {
    if (lines !== '') pass(lines)
  }
  let lost: string | undefined
  try {
    for await (const chunk of responseChunks(body, silenceMs, signal, check)) {
      passWhole(splitter.push(chunk))
      await progress.ready()
    }
  } catch (error) {
    lost = errorMessage(error)
  }
  passWhole(splitter.end())
  return lost
}
