import { MAX_CHAIN_LENGTH } from '../../../tree/import/chain-check.js'
import { RelayError } from '../../../values/failures/relay-error.js'
import type { MemberRepository } from '../member-repository.js'

const PAGE = 1_000

/**
 * Whether there is room under a policy server: no cycle, and no chain that would be too long.
 * @param id a member with all that is below it; undefined for a new one
 * @throws {RelayError} CONFLICT, saying which it is
 */
export async function checkTreeConstraints(
  repository: MemberRepository,
  id: string | undefined,
  policyServer: string
): Promise<void> {
  const above = await chainOf(repository, policyServer)
  if (id !== undefined && above.includes(id)) {
    throw new RelayError('CONFLICT', `${policyServer} is ${id} itself, or below it: the tree would have a cycle`)
  }
  // `above` has the root, which has none above it
  const length = above.length + (id === undefined ? 0 : await heightBelow(repository, id))
  if (length > MAX_CHAIN_LENGTH) {
    const what = `there would be ${length} policy servers above a node, and ${MAX_CHAIN_LENGTH} are allowed`
    throw new RelayError('CONFLICT', `under ${policyServer} ${what}`)
  }
}

/** The chain from `id` up to the root. A chain that has no end is cut off, since it is too long in any case. */
async function chainOf(repository: MemberRepository, id: string): Promise<string[]> {
  const chain = [id]
  for (let member = await repository.member(id); member !== undefined && member.policyServer !== member.id; ) {
    chain.push(member.policyServer)
    if (chain.length > MAX_CHAIN_LENGTH + 1) break
    member = await repository.member(member.policyServer)
  }
  return chain
}

/** Levels of members below one. */
async function heightBelow(repository: MemberRepository, id: string): Promise<number> {
  let level = [id]
  for (let height = 0; ; height++) {
    const next: string[] = []
    for (const relay of level) next.push(...(await relaysAndOthersUnder(repository, relay)))
    if (next.length === 0 || height > MAX_CHAIN_LENGTH) return height
    level = next
  }
}

/** The relays under it, which may have others below them, and one node in place of all that have none. */
async function relaysAndOthersUnder(repository: MemberRepository, id: string): Promise<string[]> {
  const relays: string[] = []
  for (let after = ''; ; ) {
    const page = await repository.relaysUnder(id, after, PAGE)
    relays.push(...page)
    after = page.at(-1) ?? ''
    if (page.length < PAGE) break
  }
  return relays.length === 0 && (await repository.countUnder(id)) > 0 ? [`${id}/`] : relays
}
