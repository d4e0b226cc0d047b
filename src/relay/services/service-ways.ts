import type { FramedStream } from '../../links/streams/framed-stream.js'
import type { ServiceWay } from '../../services/keys/replica.js'
import type { ServiceKeys } from '../../services/keys/service-keys.js'
import { noClient } from './admission-refusals.js'

/**
 * Opens a stream to a service.
 * @param tried ways that failed before; the one that is taken is added
 * @throws {Error} for the caller, when there is none left
 */
export function openToService(
  keys: Pick<ServiceKeys, 'pick'>,
  key: string,
  payload: Buffer,
  tried: Set<ServiceWay>
): FramedStream | Promise<FramedStream> {
  const way = keys.pick(key, tried)
  if (way === undefined) throw new Error(noClient(key).message)
  tried.add(way)
  return way.open(payload)
}
