import type { AwsScope } from '../../config/services/service-config.js'

/** Whether a service is S3, or speaks as it does: paths are signed as they are sent, and bodies need not be. */
export function isS3({ service }: AwsScope): boolean {
  return service === 's3' || service.startsWith('s3-')
}
