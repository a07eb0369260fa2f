package bucket

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

const (
	attemptsMax    = 4
	backoffMax     = time.Second
	connectTimeout = 3 * time.Second
	connectionsMax = 8
	idleTimeout    = 90 * time.Second
	expectNothing  = -1 // no "100 Continue" is waited for: it is a round trip more
)

// Credentials are a key of the store.
type Credentials struct {
	KeyID, Secret, Session string // Session is empty but for temporary keys
}

// Attempt is what came of one request to the store.
type Attempt struct {
	Method string // GET, which lists too, or PUT
	Status int    // of the answer; 0: there was none
	Took   time.Duration
}

func newClient(p *Place, credentials func() (Credentials, error), observe func(Attempt)) *s3.Client {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: connectTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: connectTimeout, MaxIdleConnsPerHost: connectionsMax, IdleConnTimeout: idleTimeout, ForceAttemptHTTP2: true,
	}
	options := s3.Options{
		Region: p.Region, UsePathStyle: p.Endpoint != "", Logger: logging.Nop{},
		HTTPClient: &http.Client{Timeout: p.Timeout, Transport: &observed{transport, observe}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			c, err := credentials()
			return aws.Credentials{AccessKeyID: c.KeyID, SecretAccessKey: c.Secret, SessionToken: c.Session}, err
		}),
		// Segments have a checksum of their own, and not every store knows those that the client would add.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,

		ContinueHeaderThresholdBytes: expectNothing,
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff, o.RateLimiter = attemptsMax, backoffMax, ratelimit.None
			// Two writes of one object at the same instant: one of them is told to come again.
			o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{"ConditionalRequestConflict": {}}})
		}),
	}
	if p.Endpoint != "" {
		options.BaseEndpoint = &p.Endpoint
	}
	return s3.New(options)
}

// observed tells of each request.
type observed struct {
	next http.RoundTripper
	tell func(Attempt)
}

// RoundTrip is that of http.RoundTripper.
func (o *observed) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	answer, err := o.next.RoundTrip(r)
	if o.tell != nil {
		attempt := Attempt{Method: r.Method, Took: time.Since(began)}
		if answer != nil {
			attempt.Status = answer.StatusCode
		}
		o.tell(attempt)
	}
	return answer, err
}
