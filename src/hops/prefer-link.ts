import type { Hop } from './hop.js'

/**
 * A neighbour that is asked over its link while it has one, and directly otherwise. Where the link broke before
 * anything was sent, the request is made once more on whatever way there is then.
 */
export function preferLink(link: () => Hop | undefined, direct: Hop): Hop {
  return {
    id: direct.id,
    get dialect() {
      return (link() ?? direct).dialect
    },
    async request(request) {
      const first = link()
      if (first === undefined) return direct.request(request)
      const outcome = await first.request(request)
      if (outcome.kind !== 'unreachable' || outcome.sent || outcome.status !== undefined) return outcome
      const second = link()
      return second === undefined || second === first ? direct.request(request) : second.request(request)
    }
  }
}
