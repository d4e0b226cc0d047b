import { isServiceRefusal } from '../../services/entry/service-entry.js'
import type { Fields } from '../../services/http1/fields.js'
import { BrokenSealError } from '../../services/sealing/header-seals.js'
import { type Sealing, sealFields } from '../../services/sealing/sealed-fields.js'
import type { AdmitToService } from './service-admission.js'

/** Has the headers of each request that is admitted sealed. */
export function sealAdmitted(admit: AdmitToService, sealing: Sealing): AdmitToService {
  return (request, find) => {
    const answer = admit(request, find)
    if (isServiceRefusal(answer)) return answer
    let fields: Fields
    try {
      fields = sealFields(answer.fields ?? request.head.fields, sealing, Date.now())
    } catch (error) {
      if (!(error instanceof BrokenSealError)) throw error
      return { status: 403, message: error.message }
    }
    return { ...answer, fields }
  }
}
