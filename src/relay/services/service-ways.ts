import type { FramedStream } from '../../links/streams/framed-stream.js'
import type { LinkRegistry } from '../../links/upper/link-registry.js'
import type { UpperLink } from '../../links/upper/upper-link.js'

/**
 * Opens a stream to a client under a key.
 * @param failed links on which it failed before
 * @throws {Error} for the caller, when there is none
 */
export function openToClient(
  registry: LinkRegistry,
  key: string,
  payload: Buffer,
  failed: Set<object>
): FramedStream | Promise<FramedStream> {
  const link = pick(registry, key, failed)
  if (link === undefined) throw new Error(`no client is registered under ${key}`)
  failed.add(link)
  const { streamLane } = link
  return streamLane.connection?.open(payload) ?? streamLane.get().then(connection => connection.open(payload))
}

function pick(registry: LinkRegistry, key: string, failed: Set<object>): UpperLink | undefined {
  if (failed.size === 0) return registry.ofClient(key)
  return registry.replicasOf(key).find(link => link.isOpen && !failed.has(link))
}
