import { RelayError } from '../../values/failures/relay-error.js'
import { CLOSE } from '../wire/protocol.js'
import type { LinkRegistry } from './link-registry.js'
import type { LinkOwner, UpperLink } from './upper-link.js'

/** A link, as it is shown. */
export interface LinkView {
  /** The id of the link itself: a new link has another. */
  readonly linkId: string
  readonly owner: LinkOwner
  /** `address:port` of the connection; a proxy's, when it came through one. */
  readonly remoteAddress: string
  readonly connectedAtMs: number
  /** Undefined until the first ping was answered. */
  readonly rttMs: number | undefined
  /** Requests under way. */
  readonly streams: number
  readonly lanes: number
  readonly receivedBytes: number
  readonly sentBytes: number
  /** The version of the program and of the link, as the other side states it. */
  readonly program: string
  readonly version: number
}

/** How many links of each kind stand. */
export type LinkCounts = Readonly<Record<LinkOwner['kind'], number>>

/**
 * Looks at links and closes them, for administrators. The lower side of a closed link comes again, after its backoff.
 */
export interface LinkAdministration {
  /** The oldest first, which is the order of their ids. @param after an id of a link, which may have ended meanwhile */
  list(after: string | undefined, limit: number): LinkView[]
  /**
   * Removes the clients under a key, or the one of them with `clientId`; or, where `name` is no key, those with the
   * client id `name`.
   * @returns the removed ones. @throws {RelayError} NOT_FOUND when there are none
   */
  removeClients(name: string, clientId?: string): LinkView[]
  /** Closes the link of a relay or node. @throws {RelayError} NOT_FOUND when it has none */
  closeLinkOf(nodeId: string): LinkView
  counts(): LinkCounts
  /** Requests under way, and lanes, of all links together. */
  load(): { readonly streams: number; readonly lanes: number }
  /** The bytes over all links since the start. */
  bytes(): { readonly received: number; readonly sent: number }
}

export function createLinkAdministration(registry: LinkRegistry): LinkAdministration {
  const clientLinks = () => registry.all().filter(link => link.owner.kind === 'client')

  function remove(links: readonly UpperLink[]): LinkView[] {
    const views = links.map(viewOf)
    for (const link of links) registry.end(link, CLOSE.removed, 'removed by an administrator')
    return views.sort(byName)
  }

  return {
    list(after = '', limit) {
      const links = registry.all().filter(({ id }) => id > after)
      return links
        .sort((a, b) => compare(a.id, b.id))
        .slice(0, limit)
        .map(viewOf)
    },
    removeClients(name, clientId) {
      const ofKey = registry.replicasOf(name)
      const isWanted = (wanted: string) => (link: UpperLink) =>
        link.owner.kind === 'client' && link.owner.clientId === wanted
      if (ofKey.length > 0) {
        const links = clientId === undefined ? ofKey : ofKey.filter(isWanted(clientId))
        if (links.length > 0) return remove(links)
        throw notFound(`no client ${shown(clientId)} is registered under ${shown(name)}`)
      }
      const links = clientId === undefined ? clientLinks().filter(isWanted(name)) : []
      if (links.length > 0) return remove(links)
      throw notFound(`no client is registered under ${shown(name)}`)
    },
    closeLinkOf(nodeId) {
      const link = registry.ofNode(nodeId)
      if (link === undefined) throw notFound(`${shown(nodeId)} holds no link to this relay`)
      const view = viewOf(link)
      registry.end(link, CLOSE.removed, 'removed by an administrator')
      return view
    },
    counts() {
      const counts = { relay: 0, node: 0, client: 0 }
      for (const { owner } of registry.all()) counts[owner.kind] += 1
      return counts
    },
    load() {
      let streams = 0
      let lanes = 0
      for (const link of registry.all()) {
        streams += link.streams
        lanes += link.lanes
      }
      return { streams, lanes }
    },
    bytes: () => registry.bytes
  }
}

function viewOf(link: UpperLink): LinkView {
  const { id: linkId, owner, remoteAddress, connectedAtMs, rttMs, streams, lanes, bytes, program, version } = link
  const { received: receivedBytes, sent: sentBytes } = bytes
  return {
    linkId,
    owner,
    remoteAddress,
    connectedAtMs,
    rttMs,
    streams,
    lanes,
    receivedBytes,
    sentBytes,
    program,
    version
  }
}

function byName({ owner: a }: LinkView, { owner: b }: LinkView): number {
  const replica = (owner: LinkOwner) => (owner.kind === 'client' ? owner.clientId : '')
  return compare(a.id, b.id) || compare(replica(a), replica(b))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function shown(name: string | undefined): string {
  return JSON.stringify((name ?? '').slice(0, 80))
}

function notFound(message: string): RelayError {
  return new RelayError('NOT_FOUND', `${message}; treeline links list shows those that stand`)
}
