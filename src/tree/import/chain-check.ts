import type { NumberedNodes } from '../index/numbered-nodes.js'

/** The most policy servers that may stand above a node. */
export const MAX_CHAIN_LENGTH = 20

/** A problem of the chain of policy servers of some nodes. */
export type ChainProblem =
  /** Each is the policy server of the one before it, and the first that of the last. */
  | { readonly kind: 'cycle'; readonly ids: readonly string[] }
  /** A node with one policy server too many above it; those below it are not named again. */
  | { readonly kind: 'too long'; readonly id: string }

const UNSEEN = 0
const ON_PATH = -1
/** The mark of nodes in a cycle, or leading into one. */
const ENDLESS = -2

/** Follows all chains of policy servers, through every node once. */
export function* checkChains({ nodes, ids, parents }: NumberedNodes): Generator<ChainProblem> {
  // the number of nodes of the chain that ends with this one, or one of the above
  const lengths = new Int32Array(nodes.length)
  for (let start = 0; start < nodes.length; start++) {
    const path: number[] = []
    let at: number | undefined = start
    while (at !== undefined && lengths[at] === UNSEEN) {
      path.push(at)
      lengths[at] = ON_PATH
      const parent: number | undefined = parents[at]
      at = parent === at ? undefined : parent
    }
    const met = at === undefined ? UNSEEN : (lengths[at] ?? 1)
    if (met === ON_PATH) yield { kind: 'cycle', ids: namesOf(path.slice(path.indexOf(at ?? 0)), ids) }
    let length = met
    for (const number of path.reverse()) {
      length = met < 0 ? ENDLESS : length + 1
      lengths[number] = length
      if (length === MAX_CHAIN_LENGTH + 2) yield { kind: 'too long', id: ids[number] ?? '' }
    }
  }
}

function namesOf(numbers: readonly number[], ids: readonly string[]): string[] {
  return numbers.map(number => ids[number] ?? '')
}
