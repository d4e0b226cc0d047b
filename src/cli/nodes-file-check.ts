import { readFile } from 'node:fs/promises'
import { whyUnreadable } from './named-file.js'
import { checkNodesList } from './nodes-import.js'

/** @returns what would keep a relay from using its nodes list: it starts all the same, and then knows no nodes */
export async function checkNodesFile(path: string): Promise<string | undefined> {
  try {
    const [problem, ...more] = checkNodesList(await readFile(path, 'utf8'))
    if (problem === undefined) return undefined
    return `general.nodes_list_file ${path}: ${problem}${more.length > 0 ? `, and ${more.length} more` : ''}`
  } catch (error) {
    return whyUnreadable('general.nodes_list_file', path, error)
  }
}
