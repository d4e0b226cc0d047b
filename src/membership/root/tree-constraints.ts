import type { MemberStore } from '../../storage/member-store.js'
import { MAX_CHAIN_LENGTH } from '../../tree/import/chain-check.js'
import { RelayError } from '../../values/failures/relay-error.js'

const PAGE = 1_000

/**
 * Whether there is room under a policy server: no cycle, and no chain that would be too long.
 * @param id a member with all that is below it; undefined for a new one
 * @throws {RelayError} CONFLICT, saying which it is
 */
export function checkFits(store: MemberStore, id: string | undefined, policyServer: string): void {
  const above = chainOf(store, policyServer)
  if (id !== undefined && above.includes(id)) {
    throw new RelayError('CONFLICT', `${policyServer} is ${id} itself, or below it: the tree would have a cycle`)
  }
  // `above` has the root, which has none above it
  const length = above.length + (id === undefined ? 0 : heightBelow(store, id))
  if (length > MAX_CHAIN_LENGTH) {
    const what = `there would be ${length} policy servers above a node, and ${MAX_CHAIN_LENGTH} are allowed`
    throw new RelayError('CONFLICT', `under ${policyServer} ${what}`)
  }
}

/** From `id` up to the root. A chain that has no end is cut off, since it is too long in any case. */
function chainOf(store: MemberStore, id: string): string[] {
  const chain = [id]
  for (let member = store.member(id); member !== undefined && member.policyServer !== member.id; ) {
    chain.push(member.policyServer)
    if (chain.length > MAX_CHAIN_LENGTH + 1) break
    member = store.member(member.policyServer)
  }
  return chain
}

/** Levels of members below one. */
function heightBelow(store: MemberStore, id: string): number {
  let level = [id]
  for (let height = 0; ; height++) {
    const next = level.flatMap(relay => relaysAndOthersUnder(store, relay))
    if (next.length === 0 || height > MAX_CHAIN_LENGTH) return height
    level = next
  }
}

/** Those under it that may have others below them, and one in place of all that have none. */
function relaysAndOthersUnder(store: MemberStore, id: string): string[] {
  const relays: string[] = []
  for (let after = ''; ; ) {
    const page = store.relaysUnder(id, after, PAGE)
    relays.push(...page)
    after = page.at(-1) ?? ''
    if (page.length < PAGE) break
  }
  return relays.length === 0 && store.countUnder(id) > 0 ? [`${id}/`] : relays
}
