package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/rustyonions/ron-ledger/store"
)

// Bucket is the objects below a prefix of a bucket. Its methods are those of archive.Objects.
type Bucket struct {
	place  Place
	client *s3.Client
}

// New returns the objects at a place. It asks nothing of the store. credentials is called
// for each request, so that keys may change; observe, where it is not nil, after each attempt.
func New(p Place, credentials func() (Credentials, error), observe func(Attempt)) *Bucket {
	return &Bucket{place: p, client: newClient(&p, credentials, observe)}
}

// Path returns where an object lies, for messages.
func (b *Bucket) Path(name string) string { return Scheme + b.place.Bucket + "/" + b.place.key(name) }

// probeName is the object with which Prepare asks the store what it keeps to.
const probeName = "probe"

// Prepare asks the store whether it keeps to the conditions of a write. A folder needs no making.
func (b *Bucket) Prepare(ctx context.Context, folder string) error {
	name := folder + "/" + probeName
	text := []byte("The writer of this archive asks here whether conditional writes are kept.\n")
	refused := func(version string) error {
		_, err := b.Put(ctx, name, text, version)
		if err == nil {
			return fmt.Errorf("write %s: the store has replaced an object that it was told not to (If-None-Match, If-Match): "+
				"nothing keeps two writers apart there; use another store, or a newer release of this one", b.Path(name))
		}
		if !errors.Is(err, store.ErrObjectChanged) {
			return err
		}
		return nil
	}
	if _, err := b.Put(ctx, name, text, ""); err != nil && !errors.Is(err, store.ErrObjectChanged) {
		return err
	}
	if err := refused(""); err != nil {
		return err
	}
	return refused(`"00000000000000000000000000000000"`)
}

// keysPage is how many keys a store gives at once.
const keysPage = 1000

// Names returns the names in a folder, sorted; of "" those of the folders.
func (b *Bucket) Names(ctx context.Context, folder string) (names []string, err error) {
	return b.names(ctx, folder, "", math.MaxInt)
}

// NamesAfter returns the first limit names of objects in a folder that sort behind after.
func (b *Bucket) NamesAfter(ctx context.Context, folder, after string, limit int) ([]string, error) {
	names, err := b.names(ctx, folder, after, limit)
	return names[:min(limit, len(names))], err
}

// names asks for pages until there are no more, or limit names.
func (b *Bucket) names(ctx context.Context, folder, after string, limit int) (names []string, err error) {
	prefix := ""
	if at := strings.TrimSuffix(b.place.key(folder), "/"); at != "" {
		prefix = at + "/"
	}
	input := &s3.ListObjectsV2Input{Bucket: &b.place.Bucket, Prefix: &prefix, Delimiter: aws.String("/")}
	if after != "" {
		input.StartAfter = aws.String(prefix + after)
	}
	if limit < keysPage {
		input.MaxKeys = aws.Int32(int32(limit))
	}
	pages := s3.NewListObjectsV2Paginator(b.client, input)
	for pages.HasMorePages() && len(names) < limit {
		var page *s3.ListObjectsV2Output
		err := again(ctx, func() (err error) {
			page, err = pages.NextPage(ctx)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", b.Path(folder), shorten(err))
		}
		for i := range page.Contents {
			names = append(names, strings.TrimPrefix(aws.ToString(page.Contents[i].Key), prefix))
		}
		for i := range page.CommonPrefixes {
			names = append(names, path.Base(aws.ToString(page.CommonPrefixes[i].Prefix)))
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" }) // some stores keep folders as objects
	slices.Sort(names)
	return slices.Compact(names), nil
}

// readAttempts is how often what reads begins when the body of an answer breaks off, or when it is told of
// a condition that it did not name: the client repeats what else may pass.
const readAttempts = 3

// again reads until it is done, or fails in a way that will not pass.
func again(ctx context.Context, read func() error) (err error) {
	for range readAttempts {
		err = read()
		brokenOff := new(bodyError)
		if !errors.As(err, &brokenOff) && statusOf(err) != http.StatusPreconditionFailed || ctx.Err() != nil {
			break
		}
	}
	return err
}

// Read returns an object of at most limit bytes, and its version; fs.ErrNotExist where there is none.
func (b *Bucket) Read(ctx context.Context, name string, limit int64) (object []byte, version string, err error) {
	err = again(ctx, func() (err error) {
		object, version, err = b.read(ctx, name, limit)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", b.Path(name), err)
	}
	return object, version, nil
}

// bodyError is what ended an answer that had begun.
type bodyError struct{ error }

func (e *bodyError) Unwrap() error { return e.error }

func (b *Bucket) read(ctx context.Context, name string, limit int64) ([]byte, string, error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.place.Bucket, Key: aws.String(b.place.key(name))})
	if codeOf(err) == "NoSuchKey" {
		return nil, "", fs.ErrNotExist
	}
	if err != nil {
		return nil, "", shorten(err)
	}
	defer out.Body.Close()
	size := aws.ToInt64(out.ContentLength)
	if size < 0 || size > limit {
		return nil, "", fmt.Errorf("%d bytes are more than the %d that it can have", size, limit)
	}
	object := make([]byte, size)
	if _, err := io.ReadFull(out.Body, object); err != nil {
		return nil, "", &bodyError{err}
	}
	return object, aws.ToString(out.ETag), nil
}

// Put makes an object where version is empty, or replaces the one of that version, and returns the
// version of the new one. store.ErrObjectChanged where there is another.
func (b *Bucket) Put(ctx context.Context, name string, object []byte, version string) (string, error) {
	input := &s3.PutObjectInput{
		Bucket: &b.place.Bucket, Key: aws.String(b.place.key(name)), Body: bytes.NewReader(object), ContentLength: aws.Int64(int64(len(object))),
	}
	if version == "" {
		input.IfNoneMatch = aws.String("*")
	} else {
		input.IfMatch = &version
	}
	out, err := b.client.PutObject(ctx, input)
	if statusOf(err) == http.StatusPreconditionFailed || version != "" && codeOf(err) == "NoSuchKey" {
		return "", fmt.Errorf("write %s: %w", b.Path(name), store.ErrObjectChanged)
	}
	if err != nil {
		return "", fmt.Errorf("write %s: %w", b.Path(name), shorten(err))
	}
	return aws.ToString(out.ETag), nil
}

// codeOf returns the code of the store's answer; empty where there is none.
func codeOf(err error) string {
	if answer := smithy.APIError(nil); errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}

// statusOf returns the HTTP status of the store's answer; 0 where there is none.
func statusOf(err error) int {
	if answer := new(awshttp.ResponseError); errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// shorten leaves of what the client says what people can use: the store's answer, or what came of
// the connection, without the names of the client's layers.
func shorten(err error) error {
	answer := smithy.APIError(nil)
	if errors.As(err, &answer) {
		return &answerError{err, fmt.Sprintf("the store answers %s (%d): %s", answer.ErrorCode(), statusOf(err), answer.ErrorMessage())}
	}
	if operation := new(smithy.OperationError); errors.As(err, &operation) {
		return operation.Err
	}
	return err
}

type answerError struct {
	err  error
	text string
}

func (e *answerError) Error() string { return e.text }
func (e *answerError) Unwrap() error { return e.err }
