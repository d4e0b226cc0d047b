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

export class ServiceDirectory implements ClientDirectory {
  constructor(private readonly options: ClientDirectoryOptions) {}

  list(after: string | undefined, limit: number): ClientPage {
    const previous = after?.split('/')
    const rest = [...this.options.keys.all()].filter(
      replica => previous === undefined || compareNames(namesOf(replica), previous) > 0
    )
    const clients = rest.sort(byNames).slice(0, limit)
    const last = rest.length > limit ? clients.at(-1) : undefined
    return { clients, next: last === undefined ? undefined : namesOf(last).join('/') }
  }

  async remove(name: string, clientId?: string): Promise<readonly ReplicaFacts[]> {
    const { keys } = this.options
    const isKey = keys.has(name)
    const selection = isKey ? { key: name, id: clientId } : { key: undefined, id: clientId === undefined ? name : '' }
    const removed = await this.removeSelected(selection, 0)
    if (removed.length > 0) return [...removed].sort(byNames)
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

function namesOf({ key, id, path }: ReplicaFacts): string[] {
  return [key, id, ...path]
}

function byNames(a: ReplicaFacts, b: ReplicaFacts): number {
  return compareNames(namesOf(a), namesOf(b))
}

function compareNames(a: readonly string[], b: readonly string[]): number {
  for (const [index, name] of a.entries()) {
    const other = b[index]
    if (other === undefined || name > other) return 1
    if (name < other) return -1
  }
  return a.length - b.length
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 80))
}
