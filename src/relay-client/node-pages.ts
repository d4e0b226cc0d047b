import { asObject, type JsonObject, objectsOf, textOf } from './json-answer.js'
import type { RelayClient } from './relay-client.js'

const PAGE_SIZE = 1_000

/** All nodes that the relay knows, in the order of their ids, asked for page by page. */
export async function* listNodes(client: RelayClient): AsyncGenerator<JsonObject> {
  let after: string | undefined
  do {
    const query = { limit: String(PAGE_SIZE), ...(after === undefined ? {} : { after }) }
    const page = asObject(await client.json({ method: 'GET', path: 'nodes', query }), 'an object')
    yield* objectsOf(page, 'nodes')
    after = typeof page.next === 'string' && page.next !== after ? page.next : undefined
  } while (after !== undefined)
}

/** Ids of the nodes that a run on all of them reaches: not the relay itself, but for the root. */
export async function listNodesBelow(client: RelayClient): Promise<string[]> {
  const below: string[] = []
  for await (const node of listNodes(client)) if (node.below !== false) below.push(textOf(node, 'id'))
  return below
}
