"use strict";
// validatorUrl: otherwise the description's address is sent to a server of Swagger's.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
