import type { Logger } from '../../values/logging/logger.js'
import { CLOSE, MAX_REPLICAS } from '../wire/protocol.js'
import type { LinkObserver } from './link-observer.js'
import { LinkSecrets } from './link-secrets.js'
import type { LinkOwner, UpperLink } from './upper-link.js'

/** The number of replacements of one link within a minute. More of them are two machines with one identity. */
const MAX_REPLACEMENTS = 3
const MINUTE_MS = 60_000

export type LinkEvent = 'opened' | 'closed'

export interface LinkRegistryOptions {
  /** Links at once, clients' included. */
  readonly max: number
  readonly logger: Logger
  readonly observer?: LinkObserver | undefined
  readonly now?: () => number
}

/** All links that stand, by whose they are. A relay or node has one, the newest; clients may have replicas. */
export class LinkRegistry {
  readonly #byId = new Map<string, UpperLink>()
  readonly #nodes = new Map<string, UpperLink>()
  readonly #clients = new Map<string, Map<string, UpperLink>>()
  readonly #replacedAtMs = new Map<string, number[]>()
  readonly #listeners = new Set<(event: LinkEvent, link: UpperLink) => void>()
  readonly #secrets = new LinkSecrets()
  readonly #now: () => number
  /** The bytes of links that have closed. */
  #ended = { received: 0, sent: 0 }

  constructor(private readonly options: LinkRegistryOptions) {
    this.#now = options.now ?? (() => performance.now())
  }

  /** Links at once. */
  get max(): number {
    return this.options.max
  }

  get size(): number {
    return this.#byId.size
  }

  /** Whether one more would be too many; whoever replaces one of their own is always admitted. */
  isFullFor(owner: LinkOwner): boolean {
    return this.#byId.size >= this.options.max && this.#standing(owner) === undefined
  }

  /** Whether a client's key has as many replicas as it may have, this one not among them. */
  hasAllReplicas(owner: LinkOwner): boolean {
    const replicas = owner.kind === 'client' ? this.#clients.get(owner.id) : undefined
    return replicas !== undefined && replicas.size >= MAX_REPLICAS && this.#standing(owner) === undefined
  }

  /** The bytes over all links, including those that have closed. */
  get bytes(): { readonly received: number; readonly sent: number } {
    let { received, sent } = this.#ended
    for (const { bytes } of this.#byId.values()) {
      received += bytes.received
      sent += bytes.sent
    }
    return { received, sent }
  }

  add(link: UpperLink): void {
    const older = this.#standing(link.owner)
    if (older !== undefined) {
      this.#noteReplacement(link)
      this.options.observer?.replaced(older.owner.kind)
      this.end(older, CLOSE.replaced, 'replaced by a newer link')
    }
    this.#byId.set(link.id, link)
    if (link.owner.kind === 'client') this.#replicas(link.owner.id).set(link.owner.clientId, link)
    else this.#nodes.set(link.owner.id, link)
    link.closed.then(
      () => this.#remove(link),
      () => this.#remove(link)
    )
    this.options.observer?.opened(link.owner.kind)
    this.#tell('opened', link)
  }

  /** Closes a link, which from now on nobody is given any more. @param code one of {@link CLOSE} */
  end(link: UpperLink, code: number, reason: string): void {
    this.#remove(link)
    link.close(code, reason)
  }

  /** The link of a relay or node, if it stands. */
  ofNode(nodeId: string): UpperLink | undefined {
    const link = this.#nodes.get(nodeId)
    return link?.isOpen === true ? link : undefined
  }

  /** The secret that the lower side of a link shows with requests of its own, while the link stands. */
  secretFor(linkId: string): string {
    return this.#secrets.of(linkId)
  }

  /** The relay or node to whose link a secret belongs, if it stands. */
  nodeOfSecret(secret: string): string | undefined {
    const linkId = this.#secrets.linkOf(secret)
    const link = linkId === undefined ? undefined : this.#byId.get(linkId)
    return link?.isOpen === true && link.owner.kind !== 'client' ? link.owner.id : undefined
  }

  /** The less busy of two replicas picked at random. */
  ofClient(key: string): UpperLink | undefined {
    const replicas = [...(this.#clients.get(key)?.values() ?? [])].filter(link => link.isOpen)
    const first = Math.floor(Math.random() * replicas.length)
    const second = (first + 1 + Math.floor(Math.random() * (replicas.length - 1))) % replicas.length
    const [one, other] = [replicas[first], replicas[second]]
    return one !== undefined && other !== undefined && other.streams < one.streams ? other : one
  }

  /** All of a client's links. */
  replicasOf(key: string): UpperLink[] {
    return [...(this.#clients.get(key)?.values() ?? [])]
  }

  byId(linkId: string): UpperLink | undefined {
    return this.#byId.get(linkId)
  }

  all(): UpperLink[] {
    return [...this.#byId.values()]
  }

  /** @param listener told of each link that opens or closes. @returns a function that ends this */
  onChange(listener: (event: LinkEvent, link: UpperLink) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  closeAll(code: number, reason: string): void {
    for (const link of this.all()) link.close(code, reason)
  }

  #standing(owner: LinkOwner): UpperLink | undefined {
    if (owner.kind === 'client') return this.#clients.get(owner.id)?.get(owner.clientId)
    return this.#nodes.get(owner.id)
  }

  #replicas(key: string): Map<string, UpperLink> {
    let replicas = this.#clients.get(key)
    if (replicas === undefined) {
      replicas = new Map()
      this.#clients.set(key, replicas)
    }
    return replicas
  }

  #remove(link: UpperLink): void {
    if (!this.#byId.delete(link.id)) return
    const { owner } = link
    if (owner.kind === 'client') {
      const replicas = this.#clients.get(owner.id)
      if (replicas?.get(owner.clientId) === link) replicas.delete(owner.clientId)
      if (replicas?.size === 0) this.#clients.delete(owner.id)
    } else if (this.#nodes.get(owner.id) === link) {
      this.#nodes.delete(owner.id)
    }
    const { received, sent } = link.bytes
    this.#ended = { received: this.#ended.received + received, sent: this.#ended.sent + sent }
    this.options.observer?.closed(owner.kind)
    this.#tell('closed', link)
  }

  #tell(event: LinkEvent, link: UpperLink): void {
    for (const listener of this.#listeners) listener(event, link)
  }

  #noteReplacement({ owner, remoteAddress }: UpperLink): void {
    const nowMs = this.#now()
    const whose = owner.kind === 'client' ? `client ${owner.id}/${owner.clientId}` : owner.id
    const recent = (this.#replacedAtMs.get(whose) ?? []).filter(atMs => atMs > nowMs - MINUTE_MS)
    recent.push(nowMs)
    this.#replacedAtMs.set(whose, recent)
    if (recent.length === MAX_REPLACEMENTS + 1) {
      this.options.logger.error(
        { id: owner.id, remoteAddress },
        'link replaced more than three times within a minute; two machines may have one identity'
      )
    }
    if (this.#replacedAtMs.size > this.options.max) this.#forgetOldReplacements(nowMs)
  }

  #forgetOldReplacements(nowMs: number): void {
    for (const [id, times] of this.#replacedAtMs) {
      if ((times.at(-1) ?? 0) <= nowMs - MINUTE_MS) this.#replacedAtMs.delete(id)
    }
  }
}
