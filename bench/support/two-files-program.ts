// The reference for small PUTs: what a Node process can put on disk when it does nothing else.
import { mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'

const { folder, count, atOnce, sizeBytes } = JSON.parse(process.argv[2] ?? '{}') as {
  folder: string
  count: number
  atOnce: number
  sizeBytes: number
}
const content = Buffer.alloc(sizeBytes, 'x')
const metadata = Buffer.alloc(1_024, 'm')
let next = 0

await mkdir(folder, { recursive: true })
const startedAt = performance.now()
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (let number = next++; number < count; number = next++) {
      await writeDurably(join(folder, `${number}.part`), join(folder, String(number)), content)
      await writeDurably(join(folder, `${number}.metadata.part`), join(folder, `${number}.metadata`), metadata)
    }
  })
)
console.log(JSON.stringify({ perSecond: (count * 1000) / (performance.now() - startedAt) }))

async function writeDurably(part: string, name: string, data: Buffer): Promise<void> {
  const file = await open(part, 'w')
  try {
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(part, name)
}
