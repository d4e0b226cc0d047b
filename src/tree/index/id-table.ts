const EMPTY = 0

/** FNV-1a over the characters, mixed once more because tables use the low bits. */
export function hashId(id: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < id.length; index++) hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (hash ^ (hash >>> 13)) >>> 0
}

/**
 * The numbers of ids: a hash table with open addressing, of a length that is a power of two, which holds number + 1, or
 * 0 where nothing is. Unlike a `Map` it can be given to another thread as it is.
 */
export class IdTable {
  readonly #entries: Int32Array<ArrayBuffer>
  readonly #ids: string[]

  /**
   * @param ids empty; grows with each id that is put
   * @param capacity the most ids that will be put
   */
  constructor(ids: string[], capacity: number) {
    this.#ids = ids
    // a quarter stays free even when full
    this.#entries = new Int32Array(2 ** Math.ceil(Math.log2(capacity * 1.25 + 2)))
  }

  /** @returns the number of `id`, which is the next one if it was not there */
  put(id: string): number {
    const mask = this.#entries.length - 1
    for (let bucket = hashId(id) & mask; ; bucket = (bucket + 1) & mask) {
      const number = (this.#entries[bucket] ?? EMPTY) - 1
      if (number < 0) {
        this.#entries[bucket] = this.#ids.push(id)
        return this.#ids.length - 1
      }
      if (this.#ids[number] === id) return number
    }
  }

  /** The table itself. */
  buckets(): Int32Array<ArrayBuffer> {
    return this.#entries
  }
}
