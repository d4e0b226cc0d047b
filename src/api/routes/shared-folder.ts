import { RelayError } from '../../values/failures/relay-error.js'
import { checkConditions } from '../answers/listed-conditions.js'
import { sendOpened } from '../answers/open-file.js'
import { limitStalledReader } from '../answers/reader-limit.js'
import { originOf } from '../callers/request-origin.js'
import { FILE_ANSWERS, type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

const HEX: Readonly<Record<'sha256' | 'sha512', RegExp>> = {
  sha256: /^[0-9a-f]{64}$/i,
  sha512: /^[0-9a-f]{128}$/i
}

/** A file that is replaced at each look is not there to be had. */
const MAX_LOOKS = 5

/** `GET` and `HEAD shared-folder/<path>` (contract, "Shared folder"). */
export const sharedFolderRoutes: Routes<{ services: Pick<Services, 'sharedFolder' | 'stopping'> }> = async (
  app,
  { services }
) => {
  const { sharedFolder, stopping } = services
  const config = { access: 'shared-folder', bareErrors: true } as const
  const tags = ['shared folder']
  const params = Type.Object({ '*': Type.String({ description: 'path below shared_folder.path' }) })

  app.head(
    '/shared-folder/*',
    {
      config,
      schema: {
        tags,
        summary: 'Whether a file has changed',
        params,
        querystring: Type.Object({ hash: Type.Optional(Type.String()), hash_type: Type.Optional(Type.String()) }),
        describedResponse: {
          200: Type.Null({ description: 'It has another hash, or none was given' }),
          304: Type.Null({ description: 'It has this hash' })
        }
      }
    },
    async (request, reply) => {
      const path = request.params['*']
      const { hash = '', hash_type: givenType = '' } = request.query
      const type = givenType === '' ? 'sha256' : givenType
      if (type !== 'sha256' && type !== 'sha512') {
        throw new RelayError('INVALID_INPUT', `invalid hash_type: ${type.slice(0, 40)}, should be sha256 or sha512`)
      }
      if (!HEX[type].test(hash)) {
        await sharedFolder.check(path) // that there is no such file comes first
        if (hash === '') return reply.code(200).send()
        throw new RelayError('INVALID_INPUT', `invalid hash: not a ${type} in hexadecimal`)
      }
      const { signal } = originOf(request, reply, stopping, { lasts: true }) // a large file takes minutes
      const same = (await sharedFolder.hash(path, type, signal)) === hash.toLowerCase()
      return reply.code(same ? 304 : 200).send()
    }
  )

  app.get(
    '/shared-folder/*',
    {
      config,
      schema: { tags, summary: 'A file of the folder', params, produces: ['*/*'], describedResponse: FILE_ANSWERS }
    },
    async (request, reply) => {
      checkConditions(request.headers)
      for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
        const { path, handle } = await sharedFolder.open(request.params['*'])
        const result = await sendOpened(request, reply, path, { handle, etag: true, gone: 'NOT FOUND' })
        if (result === undefined) continue // it was replaced just now
        limitStalledReader(reply.raw, request.raw.socket)
        return reply.code(result.statusCode).headers(result.headers).send(result.stream)
      }
      throw new RelayError('NOT_FOUND', 'NOT FOUND')
    }
  )
}
