import { Session } from 'node:inspector/promises'

/**
 * Gives back to the system what starting has left on the heap. Compiling and wiring make V8 grow its space for new
 * objects, which a relay with little to do would keep for ever: a tenth of its memory. Takes some 20 ms, once.
 */
export async function releaseStartUpGarbage(): Promise<void> {
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.collectGarbage')
  session.disconnect()
}
