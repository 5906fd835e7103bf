// Pictures as they are kept: small enough for a bad line, good enough to read a notice on a wall.

const SIDE_MAX = 1280;
const QUALITY = 0.7;

/** A picture as a smaller JPEG; nothing, where it is none. */
export async function compressed(file: Blob): Promise<Uint8Array | undefined> {
  let picture: ImageBitmap;
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return undefined;
  }
  const scale = Math.min(1, SIDE_MAX / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  // Drawn anew: what the camera wrote into the file, such as the place, stays behind.
  canvas.getContext("2d")?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  return blob === null ? undefined : new Uint8Array(await blob.arrayBuffer());
}
