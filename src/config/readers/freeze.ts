/** Freezes a value and all that it holds; that a map takes no new entries is left to its type. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  const members = value instanceof Map ? value.values() : Object.values(value)
  for (const member of members) deepFreeze(member)
  return value
}
