import { CLIENT_KEY_RULE, isClientKey, MAX_CLIENT_NAME_LENGTH } from './client-key.js'

/** The right of a token's holder. `key` may end with `*`, which stands for any rest. */
export type TokenScope =
  /** To register clients under the key. */
  | { readonly kind: 'register'; readonly key: string }
  /** To call the service under the key. */
  | { readonly kind: 'call'; readonly key: string }
  /** To do what the admin token may, and to call every service. */
  | { readonly kind: 'admin' }

/** The forms of a scope, for messages. */
export const SCOPE_RULE = `register:<key>, call:<key> or admin; a key has ${CLIENT_KEY_RULE}, and * at its end stands for any rest`

/** The characters that a beginning of a key may have, none included. */
const BEGINNING = /^[A-Za-z0-9_-]*$/

/** @returns undefined when `text` is no scope ({@link SCOPE_RULE}) */
export function parseTokenScope(text: string): TokenScope | undefined {
  if (text === 'admin') return { kind: 'admin' }
  const [kind, key = '', ...more] = text.split(':')
  if ((kind !== 'register' && kind !== 'call') || more.length > 0 || !isKeyPattern(key)) return undefined
  return { kind, key }
}

export function formatTokenScope(scope: TokenScope): string {
  return scope.kind === 'admin' ? 'admin' : `${scope.kind}:${scope.key}`
}

/** Whether one of the scopes lets clients register under a key. An administrator's does not: it serves no one's requests. */
export function mayRegister(scopes: readonly TokenScope[], key: string): boolean {
  return scopes.some(scope => scope.kind === 'register' && matchesKey(scope.key, key))
}

/** Whether one of the scopes lets its holder call the service under a key. */
export function mayCall(scopes: readonly TokenScope[], key: string): boolean {
  return scopes.some(scope => scope.kind === 'admin' || (scope.kind === 'call' && matchesKey(scope.key, key)))
}

/** The key of the service that scopes name: where they let their holder call this one alone. */
export function keyNamedBy(scopes: readonly TokenScope[]): string | undefined {
  const keys = scopes.flatMap(scope => (scope.kind === 'call' ? scope.key : []))
  const [key] = keys
  return keys.length === 1 && key?.endsWith('*') === false && !isAdministrator(scopes) ? key : undefined
}

export function isAdministrator(scopes: readonly TokenScope[]): boolean {
  return scopes.some(({ kind }) => kind === 'admin')
}

/** Whether `text` names a key, or with `*` at its end all keys that begin so. */
export function isKeyPattern(text: string): boolean {
  if (!text.endsWith('*')) return isClientKey(text)
  return text.length <= MAX_CLIENT_NAME_LENGTH && BEGINNING.test(text.slice(0, -1))
}

/** Whether a key is one of those that a pattern names ({@link isKeyPattern}). */
export function matchesKey(pattern: string, key: string): boolean {
  return pattern.endsWith('*') ? key.startsWith(pattern.slice(0, -1)) : key === pattern
}
