import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'

const PIECE_BYTES = 1024 * 1024

/**
 * Has the kernel own `bytes` of free memory once more. Virtual machines hand unused memory back to their host, and
 * getting it again costs fifteen times what writing to it does, which would be measured in place of the program.
 */
export async function warmPageCache(folder: string, bytes: number): Promise<void> {
  const path = join(folder, 'page-cache')
  const piece = Buffer.alloc(PIECE_BYTES)
  const file = await open(path, 'w')
  try {
    for (let written = 0; written < bytes; written += PIECE_BYTES) await file.write(piece)
  } finally {
    await file.close()
    await rm(path)
  }
}
