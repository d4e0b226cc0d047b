import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Command, Option } from 'commander'
import { agentFields } from '../../file-exchange/agent-fields.js'
import { AGENT_KEY_FILE, readSealKey } from '../../file-exchange/key-files.js'
import { pieceWriter } from '../../file-exchange/piece-writer.js'
import { noTemporaryFile } from '../../file-exchange/places/file-place.js'
import type { RegularFile } from '../../file-exchange/places/regular-file-place.js'
import { openShareable } from '../../file-exchange/places/shareable-file.js'
import { StableFile } from '../../file-exchange/stable-file.js'
import { isThere, uploadFile } from '../../file-exchange/upload.js'
import { HASH_ALGORITHMS, type HashAlgorithm } from '../../keys/signatures/file-metadata.js'
import { signFile } from '../../keys/signatures/sign-file.js'
import { PASSPHRASE_VARIABLE } from '../../process/passphrase.js'
import { checkFileKey, type FileKey } from '../../values/ids.js'
import { addServerOptions, type ServerOptions, withClient } from '../options/connection-options.js'
import { example } from '../options/example.js'
import { ownNodeId } from '../options/node-identity.js'
import { readSigningKey } from '../options/signing-key.js'
import { checkTtl } from '../options/time-option.js'
import { ProgressBar } from '../output/progress-bar.js'
import { showBytes } from '../output/table.js'

interface ShareOptions extends ServerOptions {
  readonly ttl: string
  /** The key that signs; that of TLS is `tlsKey`. */
  readonly key: string
  readonly passphraseFile?: string
  readonly source?: string
  readonly seal?: string
  readonly algorithm: HashAlgorithm
}

/** Options of every command that signs. */
export function addSigningOptions(command: Command): Command {
  return addServerOptions(command, '--tls-key')
    .option('--key <file>', 'private key (PEM) for the signature: RSA or Ed25519', AGENT_KEY_FILE)
    .option(
      '--passphrase-file <file>',
      `file with its passphrase (default: ${PASSPHRASE_VARIABLE}, or that of all agents)`
    )
    .addOption(
      new Option('--algorithm <name>', 'hash algorithm of the signature')
        .choices([...HASH_ALGORITHMS])
        .default('sha512')
    )
    .option('--source <id>', "id of this node (default: from --config, or the agent's)")
}

/** `treeline share <target> <file-id> <path>`. */
export function register(program: Command): void {
  addSigningOptions(program.command('share').description('Sign a file, and share it with a node'))
    .argument('<target>', 'id of the node that receives it')
    .argument('<file-id>', 'name of the shared file')
    .argument('<path>', 'the file')
    .requiredOption('--ttl <time>', 'time to live: a number of seconds, or such as "1day 2hours"')
    .option('--seal <key>', "seal it for the target: the target's x25519:… key, or a file with that key")
    .addHelpText('after', example("treeline share node-b report.txt ./report.txt --ttl '2 days'"))
    .action(share)
}

async function share(target: string, fileId: string, path: string, options: ShareOptions): Promise<void> {
  checkTtl('--ttl', options.ttl)
  const fileKey = { target, source: await ownNodeId(options.source, '--source', options), fileId }
  checkFileKey(fileKey)
  if (options.seal === undefined) return shareFile(fileKey, path, options, openShareable)
  const publicKey = await readSealKey('--seal', options.seal)
  await (await StableFile.open(path, { name: '<path>', openFile: openShareable })).close() // tells of a wrong path before anything is written
  const { sealed, folder } = await openNameless()
  try {
    await seal(path, sealed, publicKey)
    await shareFile(fileKey, path, options, async () => ({ handle: sealed, stats: await sealed.stat() }))
  } finally {
    await sealed.close()
    await remove(folder)
  }
}

/**
 * A file in the folder for temporary files whose name is gone at once: whatever ends this process, nothing is left. A file
 * system over the network keeps a name, and so the folder, until the file is closed.
 */
async function openNameless(): Promise<{ readonly sealed: FileHandle; readonly folder: string }> {
  try {
    const folder = await mkdtemp(join(tmpdir(), 'treeline-seal-'))
    try {
      return { sealed: await open(join(folder, 'sealed'), 'wx+', 0o600), folder }
    } finally {
      await remove(folder)
    }
  } catch (error) {
    throw noTemporaryFile(error)
  }
}

/** Removes a folder of this command's own as far as it can be: what is left there is no reason to share nothing. */
async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch(() => undefined)
}

async function shareFile(
  fileKey: FileKey,
  path: string,
  options: ShareOptions,
  openFile: (path: string) => Promise<RegularFile>
): Promise<void> {
  const { algorithm } = options
  const signingKey = await readSigningKey(options)
  const file = await StableFile.open(path, { name: '<path>', openFile })
  const bar = new ProgressBar(fileKey.fileId, file.sizeBytes)
  const { key: _, ...server } = options
  try {
    const hashValue = await file.hash(algorithm)
    await withClient(server, async client => {
      const name = `${fileKey.fileId} for ${fileKey.target}`
      if (await isThere(client, fileKey, hashValue)) return console.log(`${name}: there already, or on its way`)
      const parts = { signedAtMs: Date.now(), algorithm, hashValue }
      const metadata = signFile(signingKey, fileKey, parts, agentFields(signingKey, parts.signedAtMs))
      const outcome = await uploadFile(client, fileKey, file, metadata, options.ttl, bar.update)
      bar.clear()
      const state = outcome === 'stored' ? 'stored' : 'accepted, pending until the next relay can be reached'
      console.log(`${name}: ${state}, ${showBytes(file.sizeBytes)}`)
    })
  } finally {
    bar.clear()
    await file.close()
  }
}

async function seal(path: string, sealed: FileHandle, publicKey: Uint8Array): Promise<void> {
  const { createSealStream } = await import('../../file-exchange/sealed-file.js')
  const { handle } = await openShareable(path)
  const end = pieceWriter(async piece => {
    await sealed.appendFile(piece).catch((error: unknown) => {
      throw noTemporaryFile(error)
    })
  })
  await pipeline(handle.createReadStream(), createSealStream(publicKey), end)
}
