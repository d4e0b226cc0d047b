import { createHash } from 'node:crypto'
import type { TreeNode } from '../tree/topology.js'

/** 32-bit words of a SHA-256. */
export const DIGEST_WORDS = 8

/**
 * The digest of a set of nodes and certificates: all their SHA-256, added bit by bit (XOR). So it does not depend on
 * their order, and that of a part of the tree is had without hashing it again. It finds mistakes, not forgeries: whoever
 * sends a tree is believed about it anyway.
 */
export class TreeDigest {
  readonly words: Uint32Array

  /** @param words where it is kept: {@link DIGEST_WORDS} of them, zero at first */
  constructor(words: Uint32Array = new Uint32Array(DIGEST_WORDS)) {
    this.words = words
  }

  addNode({ id, hostname, policyServer, keyHash }: TreeNode): void {
    this.#add(`node\n${id}\n${hostname}\n${policyServer}\n${keyHash ?? ''}`)
  }

  /** @param fingerprint SHA-256 of the DER */
  addCertificate(nodeId: string, fingerprint: Buffer): void {
    this.#add(`certificate\n${nodeId}\n${fingerprint.toString('hex')}`)
  }

  /** Adds the digests of the positions from `start` to `end`. */
  addAll(digests: Uint32Array, start: number, end: number): void {
    for (let index = start * DIGEST_WORDS; index < end * DIGEST_WORDS; index++) {
      const word = index % DIGEST_WORDS
      this.words[word] = (this.words[word] ?? 0) ^ (digests[index] ?? 0)
    }
  }

  /** 64 hexadecimal digits. */
  toString(): string {
    return Array.from(this.words, word => word.toString(16).padStart(8, '0')).join('')
  }

  #add(text: string): void {
    const hash = createHash('sha256').update(text).digest()
    for (let word = 0; word < DIGEST_WORDS; word++) {
      this.words[word] = (this.words[word] ?? 0) ^ hash.readUInt32BE(word * 4)
    }
  }
}
