import { leftContainers } from '../support/left-containers.ts'
import { describeProvider } from './provider-contract.ts'

describeProvider({ name: 'docker', leftovers: () => leftContainers(process.pid) })
