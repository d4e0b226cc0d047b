import { readStartSync } from '../../file-system/files/regular-file.js'

/** Longer than any node id: others may write where a mark is looked for, and in it what they like. */
const MAX_MARK_BYTES = 256

/**
 * Reads the mark that a node leaves in a folder of its own. @returns its node id; empty where a crash came between the file and
 * what belongs in it
 */
export function readMark(file: string): string {
  return readStartSync(file, MAX_MARK_BYTES).toString('utf8').trim()
}
