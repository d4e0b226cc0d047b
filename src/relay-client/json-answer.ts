import { ClientError } from './client-error.js'

export type JsonObject = Readonly<Record<string, unknown>>

/** @throws {ClientError} when `value` is no JSON object. @param what it should be, for the message */
export function asObject(value: unknown, what: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw unexpected(what)
}

/** The objects of `object[member]`. @throws {ClientError} when it is no array of objects */
export function objectsOf(object: JsonObject, member: string): JsonObject[] {
  const list = object[member]
  if (!Array.isArray(list)) throw unexpected(`a list "${member}"`)
  return list.map(item => asObject(item, `objects in "${member}"`))
}

/** @throws {ClientError} when `object[member]` is no text */
export function textOf(object: JsonObject, member: string): string {
  const value = object[member]
  if (typeof value !== 'string') throw unexpected(`a text "${member}"`)
  return value
}

function unexpected(what: string): ClientError {
  return new ClientError(`the relay's answer is not what was expected: ${what} is missing; is it a Treeline relay?`)
}
