import { join } from 'node:path'
import type { Command } from 'commander'
import { signatureFor } from '../../file-exchange/detached-signature.js'
import { downloadFile, hashesOf } from '../../file-exchange/download.js'
import { checkSourceKeyHash } from '../../file-exchange/key-files.js'
import { makeFoldersTo } from '../../file-exchange/places/named-place.js'
import { openShareable } from '../../file-exchange/places/shareable-file.js'
import { StableFile } from '../../file-exchange/stable-file.js'
import { isThere, uploadFile } from '../../file-exchange/upload.js'
import type { HashAlgorithm } from '../../keys/signatures/file-metadata.js'
import { asObject, objectsOf, textOf } from '../../relay-client/json-answer.js'
import { apiPath, type RelayClient } from '../../relay-client/relay-client.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { checkFileKey, checkNodeId, type FileKey, isFileId } from '../../values/ids.js'
import { printable } from '../../values/text/printable.js'
import { EXIT, UsageError } from '../command-error.js'
import { addServerOptions, type ServerOptions, withClient } from '../options/connection-options.js'
import { withDownloadAdvice } from '../options/download-advice.js'
import { example } from '../options/example.js'
import { ownNodeId } from '../options/node-identity.js'
import { readSigningKey } from '../options/signing-key.js'
import { checkTtl } from '../options/time-option.js'
import { addSigningOptions } from './share.js'

/** The end of a generic method; `error` is thrown. */
type Result = 'kept' | 'repaired'

/** The exit code that tells a policy that something was changed. The others are those of every command. */
const EXIT_REPAIRED = 10

interface ToNodeOptions extends ServerOptions {
  readonly key: string
  readonly passphraseFile?: string
  readonly source?: string
  readonly algorithm: HashAlgorithm
  readonly signature?: string
}

interface FromOptions extends ServerOptions {
  readonly target?: string
  readonly sourceKeyHash?: string
}

/** `treeline method sharedfile_to_node | sharedfile_from_node | sharedfile_from_any`. */
export function register(program: Command): void {
  const method = program
    .command('method')
    .description("Run an agent's generic method: it prints result_kept, result_repaired or result_error")
    .addHelpText('after', `\nExit codes: 0 kept, ${EXIT_REPAIRED} repaired, 1 error, 2 wrong usage.`)
  addSigningOptions(method.command('sharedfile_to_node').description('Share a file with a node'))
    .arguments('<target> <file-id> <path> <ttl>')
    .option('--signature <file>', 'file that keeps the signature between runs (default: <path>.sign)')
    .addHelpText('after', example("treeline method sharedfile_to_node node-b report.txt /var/lib/report.txt '1 day'"))
    .action((target: string, fileId: string, path: string, ttl: string, options: ToNodeOptions) =>
      conclude(() => toNode(target, fileId, path, ttl, options))
    )
  addFromOptions(
    method
      .command('sharedfile_from_node')
      .description('Fetch the file that a node shared with this one, unless it is there')
  )
    .arguments('<source> <file-id> <path>')
    .addHelpText('after', example('treeline method sharedfile_from_node node-a report.txt /var/lib/report.txt'))
    .action((source: string, fileId: string, path: string, options: FromOptions) =>
      conclude(() => fromNode(source, fileId, path, options))
    )
  addFromOptions(
    method
      .command('sharedfile_from_any')
      .description('Fetch the files of one name that nodes shared with this one, unless they are there')
  )
    .arguments('<file-id> <dir>')
    .addHelpText(
      'after',
      `\nThe file of each source goes to <dir>/<source id>.\n${example('treeline method sharedfile_from_any report.txt /var/lib/reports')}`
    )
    .action((fileId: string, folder: string, options: FromOptions) => conclude(() => fromAny(fileId, folder, options)))
}

function addFromOptions(command: Command): Command {
  return addServerOptions(command)
    .option('--target <id>', "id of this node (default: from --config, or the agent's)")
    .option('--source-key-hash <hash>', 'key-hash of the source, as in nodeslist.json')
}

async function conclude(method: () => Promise<Result>): Promise<void> {
  try {
    const result = await method()
    console.log(`result_${result}`)
    process.exitCode = result === 'kept' ? EXIT.ok : EXIT_REPAIRED
  } catch (error) {
    console.log(`result_error: ${printable(errorMessage(error))}`)
    throw error
  }
}

async function toNode(
  target: string,
  fileId: string,
  path: string,
  ttl: string,
  options: ToNodeOptions
): Promise<Result> {
  checkTtl('<ttl>', ttl)
  const { key: _, algorithm, ...server } = options
  const fileKey = { target, source: await ownNodeId(options.source, '--source', server), fileId }
  checkFileKey(fileKey)
  const signingKey = await readSigningKey(options)
  const file = await StableFile.open(path, { name: '<path>', openFile: openShareable })
  try {
    const metadata = await signatureFor(file, options.signature ?? `${path}.sign`, signingKey, fileKey, algorithm)
    return await withClient(server, async client => {
      if (await isThere(client, fileKey, metadata.hashValue)) return 'kept'
      await uploadFile(client, fileKey, file, metadata, ttl)
      return 'repaired'
    })
  } finally {
    await file.close()
  }
}

async function fromNode(source: string, fileId: string, path: string, options: FromOptions): Promise<Result> {
  const fileKey = { target: await ownNodeId(options.target, '--target', options), source, fileId }
  checkFileKey(fileKey)
  checkSourceKeyHash('--source-key-hash', options.sourceKeyHash)
  return withClient(options, client => haveFile(client, fileKey, path, options.sourceKeyHash))
}

async function fromAny(fileId: string, folder: string, options: FromOptions): Promise<Result> {
  if (!isFileId(fileId)) throw new UsageError(`${JSON.stringify(fileId)} is not a file id`)
  const target = await ownNodeId(options.target, '--target', options)
  checkSourceKeyHash('--source-key-hash', options.sourceKeyHash)
  return withClient(options, async client => {
    const answer = await client.json({
      method: 'GET',
      path: apiPath('shared-files', target),
      query: { file_id: fileId }
    })
    let result: Result = 'kept'
    for (const file of objectsOf(asObject(answer, 'an object'), 'files')) {
      const source = textOf(file, 'source')
      checkNodeId(source) // it becomes a file's name
      const path = join(folder, source)
      await makeFoldersTo(path)
      const one = await haveFile(client, { target, source, fileId }, path, options.sourceKeyHash)
      if (one === 'repaired') result = 'repaired'
    }
    return result
  })
}

/** Fetches the file unless it is there: any of its hashes is the one under which it was shared. */
async function haveFile(
  client: RelayClient,
  fileKey: FileKey,
  path: string,
  sourceKeyHash: string | undefined
): Promise<Result> {
  const hashes = await hashesOf(path)
  if (hashes !== undefined) {
    for (const hash of [hashes.sha512, hashes.sha256, hashes.sha1]) {
      if (await isThere(client, fileKey, hash)) return 'kept'
    }
  }
  const request = { fileKey, destination: path, sourceKeyHash, sourceKeyName: '--source-key-hash' }
  await downloadFile(client, request).catch(error => {
    throw withDownloadAdvice(error)
  })
  return 'repaired'
}
