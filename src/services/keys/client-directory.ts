import type { LinkAdministration } from '../../links/upper/link-administration.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { isSelected, type RemoteRemoval, type ReplicaSelection } from './remove-below.js'
import type { Replica, ReplicaFacts } from './replica.js'
import type { ServiceKeys } from './service-keys.js'

/** A page of clients, by key, id and path. */
export interface ClientPage {
  readonly clients: readonly ReplicaFacts[]
  /** For the next page; undefined at the last one. */
  readonly next: string | undefined
}

/** Looks at the clients here and below, and removes them, for administrators. */
export interface ClientDirectory {
  /** @param after `next` of the page before */
  list(after: string | undefined, limit: number): ClientPage
  /**
   * Removes the clients under a key, or the one of them with `clientId`; or, where `name` is no key, those with the
   * client id `name`. Each registers again.
   * @returns the removed ones
   * @throws {RelayError} NOT_FOUND when there are none, HOP_UNREACHABLE when a relay below does not say that it is done
   */
  remove(name: string, clientId?: string): Promise<readonly ReplicaFacts[]>
}

export interface ClientDirectoryOptions {
  readonly keys: ServiceKeys
  readonly links: Pick<LinkAdministration, 'removeClients'>
  readonly below: RemoteRemoval
}

/** A client with the text by which it is sorted. */
interface Sorted {
  readonly name: string
  readonly facts: ReplicaFacts
}

export class ServiceDirectory implements ClientDirectory {
  /** All of them, for the next page; undefined after a change. */
  #sorted: readonly Sorted[] | undefined

  constructor(private readonly options: ClientDirectoryOptions) {
    options.keys.onChange(() => {
      this.#sorted = undefined
    })
  }

  list(after: string | undefined, limit: number): ClientPage {
    this.#sorted ??= sorted([...this.options.keys.all()])
    const start = after === undefined ? 0 : firstAfter(this.#sorted, after.replaceAll('/', SEPARATOR))
    const page = this.#sorted.slice(start, start + limit)
    const last = start + limit < this.#sorted.length ? page.at(-1) : undefined
    return { clients: page.map(({ facts }) => facts), next: last?.name.replaceAll(SEPARATOR, '/') }
  }

  async remove(name: string, clientId?: string): Promise<readonly ReplicaFacts[]> {
    const { keys } = this.options
    const isKey = keys.has(name)
    const selection = isKey ? { key: name, id: clientId } : { key: undefined, id: clientId === undefined ? name : '' }
    const hasOthers = [...keys.all()].some(replica => replica.way !== undefined && isSelected(replica, selection))
    const removed = await this.removeSelected(selection, 0)
    if (removed.length > 0) return sorted(removed).map(({ facts }) => facts)
    if (hasOthers) {
      throw new RelayError(
        'NOT_FOUND',
        `no client is registered under ${shown(name)}: an agent or relay offers it by a [[service]] of its configuration; remove that, and reload it`
      )
    }
    const who = isKey && clientId !== undefined ? `client ${shown(clientId)}` : 'client'
    throw new RelayError(
      'NOT_FOUND',
      `no ${who} is registered under ${shown(name)}; GET /v1/relay/clients shows those that are`
    )
  }

  /**
   * @param hops relays that the request has passed
   * @returns the removed ones; none where there are none
   * @throws {RelayError} HOP_UNREACHABLE
   */
  async removeSelected(selection: ReplicaSelection, hops: number): Promise<ReplicaFacts[]> {
    const { keys, links, below } = this.options
    const found = (selection.key === undefined ? [...keys.all()] : keys.under(selection.key)).filter(
      replica => replica.way !== undefined && isSelected(replica, selection)
    )
    const removed: ReplicaFacts[] = []
    const ways = new Map<Replica['way'], string>()
    for (const replica of found) {
      const [relay] = replica.path
      if (relay === undefined) removed.push(...removeHere(links, replica))
      else ways.set(replica.way, relay)
    }
    const asked = await Promise.allSettled(
      [...ways].map(async ([way, relay]) => {
        const facts = way === undefined ? [] : await below.ask(way, selection, hops)
        return facts.map(of => ({ ...of, path: [relay, ...of.path] }))
      })
    )
    const failures: string[] = []
    for (const [index, result] of asked.entries()) {
      if (result.status === 'fulfilled') removed.push(...result.value)
      else failures.push(`${[...ways.values()][index]}: ${String(result.reason?.message ?? result.reason)}`)
    }
    if (failures.length === 0) return removed
    const done = removed.length === 0 ? 'none was removed' : `${removed.length} removed`
    throw new RelayError('HOP_UNREACHABLE', `not all clients could be removed (${done}): ${failures.join('; ')}`)
  }
}

function removeHere(links: ClientDirectoryOptions['links'], replica: Replica): ReplicaFacts[] {
  try {
    links.removeClients(replica.key, replica.id)
    return [replica]
  } catch (error) {
    if (error instanceof RelayError && error.code === 'NOT_FOUND') return [] // gone meanwhile
    throw error
  }
}

/** Below every character of a name, so that texts sort as lists of names do. */
const SEPARATOR = '\0'

function sorted(replicas: readonly ReplicaFacts[]): Sorted[] {
  return replicas
    .map(facts => ({ name: [facts.key, facts.id, ...facts.path].join(SEPARATOR), facts }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

/** The index of the first one behind `name`. */
function firstAfter(clients: readonly Sorted[], name: string): number {
  let [low, high] = [0, clients.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((clients[middle]?.name ?? '') <= name) low = middle + 1
    else high = middle
  }
  return low
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 80))
}
