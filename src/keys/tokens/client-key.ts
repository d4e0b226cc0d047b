/** Longest name of a client, and of one of its replicas. */
export const MAX_CLIENT_NAME_LENGTH = 128

const KEY = /^[A-Za-z0-9_-]+$/
const REPLICA = /^[A-Za-z0-9_.-]+$/

/** Paths beside `/v1/relay/<key>`: as a key, one of them could never be reached. */
const RESERVED: ReadonlySet<string> = new Set(['clients', 'register', 'links'])

/** The rule for client keys, for messages. */
export const CLIENT_KEY_RULE = `1 to ${MAX_CLIENT_NAME_LENGTH} letters, digits, _ and -, and not ${[...RESERVED].join(', ')}`

/** Whether a client may be registered under `text` (contract "links and services", table 1). */
export function isClientKey(text: string): boolean {
  return text.length <= MAX_CLIENT_NAME_LENGTH && KEY.test(text) && !RESERVED.has(text)
}

/** Whether `text` can tell one replica of a client from the others. */
export function isClientId(text: string): boolean {
  return text.length <= MAX_CLIENT_NAME_LENGTH && REPLICA.test(text)
}
