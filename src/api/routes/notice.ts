import { RelayError } from '../../values/failures/relay-error.js'
import { checkFileKey } from '../../values/ids.js'
import { type Routes, Type } from '../schema.js'

interface NoticeOptions {
  readonly services: { readonly onFile: (source: string, fileId: string) => void }
}

/** `POST agent/files`: an agent is told that there is a file for it. It fetches the file by itself, when it wants it. */
export const noticeRoutes: Routes<NoticeOptions> = async (app, { services }) => {
  app.post(
    '/agent/files',
    {
      config: { access: 'remote-run' }, // an agent has one caller: its policy server, over the link
      schema: {
        tags: ['agent'],
        summary: 'There is a file for this node',
        response: { 204: Type.Null({ description: 'Noted' }) }
      }
    },
    async (request, reply) => {
      const { source, file_id: fileId } = { ...(request.body as Record<string, unknown> | null) }
      if (typeof source !== 'string' || typeof fileId !== 'string') {
        throw new RelayError('INVALID_INPUT', 'source and file_id should be given, once each')
      }
      checkFileKey({ target: 'self', source, fileId })
      services.onFile(source, fileId)
      await reply.code(204).send(null)
      return null
    }
  )
}
