import { type JsonObject, objectsOf, textOf } from './json-answer.js'
import { readPages } from './pages.js'
import type { RelayClient } from './relay-client.js'

const PAGE_SIZE = 1_000

/** All nodes that the relay knows, in the order of their ids, asked for page by page. */
export async function* listNodes(client: RelayClient): AsyncGenerator<JsonObject> {
  const query = { limit: String(PAGE_SIZE) }
  for await (const page of readPages(client, { path: 'nodes', query })) yield* objectsOf(page, 'nodes')
}

/** Ids of the nodes that a run on all of them reaches: not the relay itself, but for the root. */
export async function listNodesBelow(client: RelayClient): Promise<string[]> {
  const below: string[] = []
  for await (const node of listNodes(client)) if (node.below !== false) below.push(textOf(node, 'id'))
  return below
}
