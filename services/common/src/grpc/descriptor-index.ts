import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FileDescriptorProto,
} from '@mcfleet/proto/google/protobuf/descriptor';

/** One .proto file as it was compiled, comments included. */
export interface DescriptorFile {
  readonly name: string;
  /** The serialized FileDescriptorProto. */
  readonly bytes: Buffer;
  /** Names of the files it imports. */
  readonly dependencies: readonly string[];
}

/** Finds the files of a FileDescriptorSet by name, by what they declare, and by the messages they extend. */
export class DescriptorIndex {
  readonly #files = new Map<string, DescriptorFile>();
  readonly #symbols = new Map<string, DescriptorFile>();
  /** By extended message, then by field number. */
  readonly #extensions = new Map<string, Map<number, DescriptorFile>>();

  /** @param descriptorSet a serialized google.protobuf.FileDescriptorSet */
  constructor(descriptorSet: Buffer) {
    for (const bytes of splitFiles(descriptorSet)) this.#addFile(bytes);
  }

  fileByName(name: string): DescriptorFile | undefined {
    return this.#files.get(name);
  }

  /** @param symbol full name of a service, method, message, field, oneof, enum, enum value or extension */
  fileBySymbol(symbol: string): DescriptorFile | undefined {
    return this.#symbols.get(symbol);
  }

  fileByExtension(message: string, fieldNumber: number): DescriptorFile | undefined {
    return this.#extensions.get(message)?.get(fieldNumber);
  }

  /** Field numbers of all extensions of a message; undefined if there is no such message. */
  extensionNumbers(message: string): readonly number[] | undefined {
    if (!this.#symbols.has(message)) return undefined;
    return [...(this.#extensions.get(message)?.keys() ?? [])];
  }

  #addFile(bytes: Buffer): void {
    const descriptor = FileDescriptorProto.decode(bytes);
    const file = { name: descriptor.name ?? '', bytes, dependencies: descriptor.dependency };
    this.#files.set(file.name, file);
    const scope = descriptor.package ? `${descriptor.package}.` : '';
    for (const message of descriptor.messageType) this.#addMessage(scope, message, file);
    for (const enumeration of descriptor.enumType) this.#addEnum(scope, enumeration, file);
    for (const extension of descriptor.extension) this.#addExtension(scope, extension, file);
    for (const service of descriptor.service) {
      this.#symbols.set(scope + service.name, file);
      for (const method of service.method) this.#symbols.set(`${scope}${service.name}.${method.name}`, file);
    }
  }

  #addMessage(scope: string, message: DescriptorProto, file: DescriptorFile): void {
    this.#symbols.set(scope + message.name, file);
    const inner = `${scope}${message.name}.`;
    for (const { name } of [...message.field, ...message.oneofDecl]) this.#symbols.set(inner + name, file);
    for (const nested of message.nestedType) this.#addMessage(inner, nested, file);
    for (const enumeration of message.enumType) this.#addEnum(inner, enumeration, file);
    for (const extension of message.extension) this.#addExtension(inner, extension, file);
  }

  /** Enum values are named in the scope that holds the enum, as in C++. */
  #addEnum(scope: string, enumeration: EnumDescriptorProto, file: DescriptorFile): void {
    this.#symbols.set(scope + enumeration.name, file);
    for (const { name } of enumeration.value) this.#symbols.set(scope + name, file);
  }

  #addExtension(scope: string, extension: FieldDescriptorProto, file: DescriptorFile): void {
    this.#symbols.set(scope + extension.name, file);
    const message = (extension.extendee ?? '').replace(/^\./, '');
    const numbers = this.#extensions.get(message) ?? new Map<number, DescriptorFile>();
    this.#extensions.set(message, numbers.set(extension.number ?? 0, file));
  }
}

/** Tag of FileDescriptorSet.file: field 1, length-delimited. */
const FILE_TAG = 0x0a;

/**
 * The serialized files, as they are in the set. Decoding and encoding them again would lose the options that are extensions
 * (google.api.field_behavior).
 */
function* splitFiles(set: Buffer): Generator<Buffer> {
  for (let at = 0; at < set.length; ) {
    if (set[at++] !== FILE_TAG) throw new Error('the descriptor set holds something other than files');
    let length = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = set.readUInt8(at++);
      length |= (byte & 0x7f) << shift;
      more = (byte & 0x80) !== 0;
    }
    yield set.subarray(at, at + length);
    at += length;
  }
}
