import { Session } from 'node:inspector/promises'
import { setFlagsFromString } from 'node:v8'

/**
 * How much the heap may grow over what is alive before all of it is collected: to four times, V8's own greatest factor.
 * After a collection V8 would choose the smallest one, and every 10 MiB of a file that streams through would set off
 * another (a PUT of 50 MiB took 0.20 s instead of 0.14).
 */
const HEAP_GROWTH_PERCENT = 300

/**
 * Gives back to the system what starting has left on the heap. Compiling and wiring make V8 grow its space for new
 * objects, which a relay with little to do would keep for ever: a tenth of its memory. Takes some 20 ms, once.
 */
export async function releaseStartUpGarbage(): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`)
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.collectGarbage')
  session.disconnect()
}
