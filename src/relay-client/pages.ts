import { asObject, type JsonObject } from './json-answer.js'
import type { ClientRequest, RelayClient } from './relay-client.js'

/** The pages of a list, asked for one after another: each names in `next` what the one behind it comes after. */
export async function* readPages(
  client: RelayClient,
  request: Pick<ClientRequest, 'path' | 'root' | 'query'>
): AsyncGenerator<JsonObject> {
  let after: string | undefined
  do {
    const query = { ...request.query, ...(after === undefined ? {} : { after }) }
    const page = asObject(await client.json({ ...request, method: 'GET', query }), 'an object')
    yield page
    after = typeof page.next === 'string' && page.next !== after ? page.next : undefined
  } while (after !== undefined)
}
