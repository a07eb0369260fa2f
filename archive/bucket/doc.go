// Package bucket keeps the objects of an archive in a bucket of an object store that speaks
// the S3 API. It hands package archive the steps that it takes: create what is not there,
// replace what has not changed, read, list; and takes whatever the network and the store
// answer.
//
//	archive ─▶ Bucket ─▶ S3 client (sign, retry) ─▶ HTTP(S) ─▶ store
//
// # The place
//
//	s3://BUCKET/PREFIX?endpoint=URL&region=REGION&timeout=DURATION
//
// An object NAME is the key PREFIX/NAME. Without an endpoint the bucket is one of AWS, in that
// region. With one, it is addressed by path, and the region is what the store calls its own
// (us-east-1 where nothing is said). A key never lies in the URL, which is logged.
//
// # Conditional writes
//
// Everything is written with If-None-Match: * (it is not there) or If-Match (it is the one that was
// read), which the store decides as one step. Prepare holds the store to it: one that ignores either
// is refused, because two writers would then replace each other's objects.
//
// An attempt that fails is repeated, some times, with a pause that grows and is drawn at random.
// The object of an attempt whose answer was lost may be there: the next one is then told that it
// is, which is ErrObjectChanged; who asked compares.
//
// # Bounds
//
// attemptsMax attempts a call, each bounded by the timeout of the place (30 s by default) and with
// 3 s to connect; connectionsMax connections that wait for the next request; an object is in memory
// once, and Read takes no more than its limit.
package bucket
