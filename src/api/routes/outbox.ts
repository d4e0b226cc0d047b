import { Readable } from 'node:stream'
import { sharerOf } from '../../network/caller.js'
import type { OutboxEntry, SharedFiles } from '../../shared-files/file-types.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { isoTime } from '../../values/time/iso-time.js'
import { UnreadAnswers } from '../answers/ends/unread-answers.js'
import { listingTurn } from '../answers/listing-turns.js'
import { scopeOf } from '../callers/access.js'
import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

const EntrySchema = Type.Object({
  id: Type.String(),
  target: Type.String(),
  source: Type.String(),
  file_id: Type.String(),
  state: Type.String({ description: 'pending, or failed: refused by a hop' }),
  size: Type.Integer({ description: 'bytes' }),
  accepted_at: Type.Time(),
  expires_at: Type.Time(),
  attempts: Type.Integer(),
  next_attempt_at: Type.Optional(Type.Time()),
  last_error: Type.Optional(Type.String())
})

const EntryId = Type.Object({ entryId: Type.String() })
const Retried = Type.Object({ retried: Type.Integer() })

/** Entries that are shown. */
const MAX_LISTED = 10_000

/** Files that wait for a hop: `GET outbox`, `POST outbox/retry`, `POST outbox/<id>/retry`, `DELETE outbox/<id>`. */
export const outboxRoutes: Routes<{ services: Pick<Services, 'sharedFiles'> }> = async (app, { services }) => {
  const { outbox } = services.sharedFiles
  const unread = new UnreadAnswers()
  const config = { access: 'administration' } as const
  const tags = ['outbox']

  app.get(
    '/outbox',
    {
      config: { access: 'outbox' },
      schema: {
        tags,
        summary: 'What waits: the oldest 10,000 entries, and how many there are in all',
        description:
          'A node, known by its certificate, sees those that it is the source or the target of, and no others.',
        response: {
          200: Type.Object({ entries: Type.Array(EntrySchema), pending: Type.Integer(), failed: Type.Integer() })
        }
      }
    },
    async (request, reply) => {
      const scope = scopeOf('outbox', request.caller)
      const nodeId = scope.kind === 'all' ? undefined : scope.id
      const { source } = sharerOf(request.caller)
      await listingTurn(source)
      const first = await outbox.list('', nodeId) // where it fails, an answer can say so
      unread.hold(request, reply)
      const list = Readable.from(listInPieces(outbox, first, nodeId, source), { objectMode: false })
      return reply.type('application/json; charset=utf-8').send(list as never) // in the form of the schema
    }
  )
  app.post(
    '/outbox/retry',
    { config, schema: { tags, summary: 'Try all entries now', response: { 200: Retried } } },
    async () => ({
      retried: await outbox.retry()
    })
  )
  app.post(
    '/outbox/:entryId/retry',
    { config, schema: { tags, summary: 'Try one entry now', params: EntryId, response: { 200: Retried } } },
    async ({ params }) => {
      const retried = await outbox.retry(params.entryId)
      if (retried === 0) throw unknownEntry(params.entryId)
      return { retried }
    }
  )
  app.delete(
    '/outbox/:entryId',
    {
      config,
      schema: { tags, summary: 'Give an entry up, file and all', params: EntryId, response: { 204: Type.Null() } }
    },
    async ({ params }, reply) => {
      if (!(await outbox.drop(params.entryId))) throw unknownEntry(params.entryId)
      return reply.code(204).send(null)
    }
  )
}

/**
 * The list as JSON, page by page as the caller takes it: the whole of it for each caller that asks, and reads nothing,
 * would fill the memory.
 */
async function* listInPieces(
  outbox: SharedFiles['outbox'],
  first: readonly OutboxEntry[],
  nodeId: string | undefined,
  source: string
): AsyncGenerator<string> {
  let text = '{"entries":['
  let shown = 0
  for (let page = first; page.length > 0 && shown < MAX_LISTED; ) {
    const entries = page.slice(0, MAX_LISTED - shown)
    text += entries
      .map((entry, index) => `${shown + index === 0 ? '' : ','}${JSON.stringify(showEntry(entry))}`)
      .join('')
    shown += entries.length
    yield text
    text = ''
    await listingTurn(source)
    page = await outbox.list(page.at(-1)?.id, nodeId)
  }
  const { pending, failed } = await outbox.counts(nodeId)
  yield `${text}],"pending":${pending},"failed":${failed}}`
}

function unknownEntry(id: string): RelayError {
  return new RelayError(
    'NOT_FOUND',
    `no outbox entry ${JSON.stringify(id.slice(0, 40))}; treeline outbox list shows those that there are`
  )
}

function showEntry(entry: OutboxEntry) {
  return {
    id: entry.id,
    target: entry.key.target,
    source: entry.key.source,
    file_id: entry.key.fileId,
    state: entry.state,
    size: entry.sizeBytes,
    accepted_at: isoTime(entry.acceptedAtMs),
    expires_at: isoTime(entry.expiresAtMs),
    attempts: entry.attempts,
    ...(entry.nextAttemptAtMs === undefined ? {} : { next_attempt_at: isoTime(entry.nextAttemptAtMs) }),
    ...(entry.lastError === undefined ? {} : { last_error: entry.lastError })
  }
}
