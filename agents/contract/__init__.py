"""What agents take and give: typed inputs, results, and the chunks that stream in between.

Every agent is a LangChain runnable from an input to a stream of :class:`Chunk`. ``invoke`` adds the chunks up;
the sum carries the whole text and the result.
"""

from agents.contract.base import Attachment, Chunk, Input, Moved, Progress, Result, Since, Text, Usage, unused
from agents.contract.chat import ChatInput, ChatResult, Citation, Message, ResponseFormat, Tool, ToolCall, ToolName
from agents.contract.describe import (
    ALT_TEXT,
    FIELDS,
    DescribeInput,
    DescribeRequest,
    DescriptionResult,
    Form,
    MaskedPicture,
    Picture,
    PictureFields,
    PictureText,
)
from agents.contract.ingest import FileReport, IngestFile, IngestInput, IngestResult, Site
from agents.contract.others import CompleteInput, CompletionResult, EmbedInput, EmbedResult, SearchInput, SearchResult
from agents.contract.summarize import (
    Coverage,
    SourceText,
    SummarizeInput,
    SummaryIssue,
    SummaryPoint,
    SummaryResult,
    SummarySection,
    SummarySource,
)
from agents.contract.translate import Format, SegmentIssue, TranslateInput, TranslationReport, TranslationResult

__all__ = [
    "ALT_TEXT",
    "FIELDS",
    "Attachment",
    "ChatInput",
    "ChatResult",
    "Chunk",
    "Citation",
    "CompleteInput",
    "CompletionResult",
    "Coverage",
    "DescribeInput",
    "DescribeRequest",
    "DescriptionResult",
    "EmbedInput",
    "EmbedResult",
    "FileReport",
    "Form",
    "Format",
    "IngestFile",
    "IngestInput",
    "IngestResult",
    "Input",
    "MaskedPicture",
    "Message",
    "Moved",
    "Picture",
    "PictureFields",
    "PictureText",
    "Progress",
    "ResponseFormat",
    "Result",
    "SearchInput",
    "SearchResult",
    "SegmentIssue",
    "Since",
    "Site",
    "SourceText",
    "SummarizeInput",
    "SummaryIssue",
    "SummaryPoint",
    "SummaryResult",
    "SummarySection",
    "SummarySource",
    "Text",
    "Tool",
    "ToolCall",
    "ToolName",
    "TranslateInput",
    "TranslationReport",
    "TranslationResult",
    "Usage",
    "unused",
]
