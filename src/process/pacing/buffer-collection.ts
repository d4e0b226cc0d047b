import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * How much may pass through buffers, of all streams together, before those that are done with are collected. Memory
 * that one collection found is free at the next, so three times as much is on V8's books; from some 20 MiB on it
 * begins with full collections, ten a second, in steps of up to 10 ms.
 */
const BYTES_BETWEEN = 4 * 1024 * 1024

type MinorCollection = (options: { type: 'minor' }) => void

let collect: MinorCollection | undefined
let passedBytes = 0

/**
 * Counts bytes that were read into fresh buffers, 64 KiB at a time, as Node reads from sockets and files. V8 lets some
 * 32 MiB of such buffers gather before it looks at them, since next to nothing of the heap itself is used up. Looking
 * earlier, among young objects alone, takes well under a millisecond and keeps a relay small.
 */
export function countStreamed(bytes: number): void {
  passedBytes += bytes
  if (passedBytes < BYTES_BETWEEN) return
  passedBytes = 0
  collect ??= exposeCollection()
  collect({ type: 'minor' })
}

/** Exposes the function for this call alone: `--expose-gc` on the command line would expose it to all code. */
function exposeCollection(): MinorCollection {
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  return typeof found === 'function' ? options => void found(options) : () => undefined
}
