import type { RevocationBook } from '../../../membership/revocations/revocation-book.js'
import { MAX_LIST_LENGTH, RevocationListError } from '../../../membership/revocations/revocation-list.js'
import { FORM, PASSED_HEADER } from '../../../network/header-names.js'
import { RelayError } from '../../../values/failures/relay-error.js'
import { parsePassed } from '../../../values/passed-relays.js'
import { UnreadAnswers } from '../../answers/ends/unread-answers.js'
import { NewestForm } from '../../bodies/newest-form.js'
import { headerText, originOf } from '../../callers/request-origin.js'
import { type Routes, Type } from '../../schema.js'
import type { Services } from '../../services.js'

/** A form with the list in it, where some characters take three. */
const MAX_FORM_BYTES = 3 * MAX_LIST_LENGTH

interface RevocationOptions {
  readonly services: Pick<Services, 'revocations' | 'listConfirming' | 'stopping'>
}

interface NoticeOptions {
  readonly services: Pick<Services, 'revocations'>
}

const tags = ['membership']

/** `GET v1/revocations`: the list as it came, for those below. */
export const revocationRoutes: Routes<RevocationOptions> = async (app, { services }) => {
  const unread = new UnreadAnswers()
  app.get(
    '/v1/revocations',
    {
      config: { access: 'tree' },
      schema: {
        tags,
        summary: 'The certificates of relays that were revoked before their end, signed by the CA',
        description: 'Text, a line each. The ETag is its number: If-None-Match answers 304. Empty: 204.',
        produces: ['text/plain'],
        describedResponse: {
          200: Type.String({ description: 'The list' }),
          204: Type.Null({ description: 'No certificate is revoked' }),
          304: Type.Null({ description: 'The caller has it already' })
        }
      }
    },
    async (request, reply) => {
      const { list, text } = bookIn(services)
      if (text === '') return reply.code(204).send()
      const tag = `"${list.number}"`
      reply.header('etag', tag)
      if (headerText(request, 'if-none-match') === tag) return reply.code(304).send()
      unread.hold(request, reply)
      return reply.type('text/plain; charset=utf-8').send(text)
    }
  )
  app.get(
    '/v1/revocations/confirmation',
    {
      config: { access: 'tree' },
      schema: {
        tags,
        summary: 'The number of the newest list, and the time at the root, signed by the CA',
        description:
          'A relay that is not the root asks its policy server. The nonce shows that the answer is none from before.',
        querystring: Type.Object({ nonce: Type.String({ description: '22 letters, digits, _ and -' }) }),
        response: { 200: Type.Object({ confirmation: Type.String() }) }
      }
    },
    async (request, reply) => {
      const { listConfirming, stopping } = services
      if (listConfirming === undefined) throw notJudged()
      const passed = parsePassed(headerText(request, PASSED_HEADER))
      const { signal } = originOf(request, reply, stopping)
      return { confirmation: await listConfirming.confirm(request.query.nonce, { passed, signal }) }
    }
  )
  await app.register(revocationNoticeRoutes, { services })
}

/** `POST v1/revocations`: the policy server hands its list down, over the link, and a relay a newer one up. The CA's signature alone counts. */
export const revocationNoticeRoutes: Routes<NoticeOptions> = async (app, { services }) => {
  const newest = new NewestForm()
  app.post(
    '/v1/revocations',
    {
      preParsing: newest.preParsing,
      config: { access: 'revocations' },
      bodyLimit: MAX_FORM_BYTES,
      schema: {
        tags,
        consumes: [FORM],
        summary: 'Takes a list of revoked certificates, if it is newer than the one that is here',
        body: Type.Object({ list: Type.String() }),
        response: { 204: Type.Null({ description: 'It is in force, or was already' }) }
      }
    },
    async (request, reply) => {
      try {
        await bookIn(services).take(request.body.list)
      } catch (error) {
        if (error instanceof RevocationListError) throw new RelayError('INVALID_INPUT', error.message)
        throw error
      }
      await reply.code(204).send(null)
      return null
    }
  )
}

function bookIn({ revocations }: NoticeOptions['services']): RevocationBook {
  if (revocations !== undefined) return revocations
  throw notJudged()
}

function notJudged(): RelayError {
  return new RelayError(
    'DISABLED',
    'certificates are not judged by the CA of a tree here, which general.peer_authentication = "cert_validation" and general.ca_path would set'
  )
}
