import { CLIENT_KEY_RULE, isClientKey } from '../../../keys/tokens/client-key.js'
import { type JsonObject, objectsOf } from '../../../relay-client/json-answer.js'
import { readPages } from '../../../relay-client/pages.js'
import type { RelayClient } from '../../../relay-client/relay-client.js'
import { UsageError } from '../../command-error.js'
import { cell } from '../../output/table.js'

/** @throws {UsageError} */
export function checkServiceKey(key: string): void {
  if (isClientKey(key)) return
  throw new UsageError(`invalid key: ${JSON.stringify(key.slice(0, 80))}; a key has ${CLIENT_KEY_RULE}`)
}

/** The clients under a key. @throws {ClientError} */
export async function replicasOf(client: RelayClient, key: string): Promise<JsonObject[]> {
  const replicas: JsonObject[] = []
  for await (const replica of listReplicas(client)) if (replica.client_key === key) replicas.push(replica)
  return replicas
}

/** The path of a client of the asked relay itself. */
export const OF_RELAY_ITSELF = 'here'

/** The relays between the asked one and a client. */
export function showPath(path: unknown): string {
  return Array.isArray(path) && path.length > 0 ? path.map(cell).join(' > ') : OF_RELAY_ITSELF
}

/** All clients that a relay reaches, here and below. @throws {ClientError} */
export async function* listReplicas(client: RelayClient): AsyncGenerator<JsonObject> {
  for await (const page of readPages(client, { path: 'clients', root: '/v1/relay/' })) yield* objectsOf(page, 'result')
}
