"""What a line of a set may be: something to ask, and what is known of the right answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from agents.contract.base import Input, Text
from agents.contract.chat import Message


def _several(value: object) -> object:
    """One text stands for a list of one."""
    return [value] if isinstance(value, str) else value


def _named(value: object) -> object:
    """Passages may be plain texts; those without an id get one from their contents when the set is loaded."""
    return [{"text": one} if isinstance(one, str) else one for one in value] if isinstance(value, list) else value


Texts = Annotated[list[Text], BeforeValidator(_several)]


class GivenPassage(Input):
    """A text that belongs into the collection; ``id`` is what ``relevant`` and citations name it by."""

    text: Text
    id: str = ""
    title: str = ""


class BaseRecord(Input):
    """What all have. ``input`` holds further fields of the job's input, ``options`` how a model generates."""

    id: str = ""
    input: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)


class Asked(BaseRecord):
    """What is asked of a collection."""

    passages: Annotated[list[GivenPassage], BeforeValidator(_named)] = Field(default_factory=list)
    relevant: Annotated[list[Text], BeforeValidator(_several)] = Field(
        default_factory=list, description="sources that answer it; without any, the passages given with it"
    )
    collection: str = Field(default="", description="one that is there already, instead of the set's own")


class ChatRecord(Asked):
    """A question, or a conversation that ends with one."""

    task: Literal["chat"] = "chat"
    question: str = ""
    messages: list[Message] = Field(default_factory=list)
    answer: Annotated[list[str], BeforeValidator(_several)] = Field(
        default_factory=list, description="one right answer or several, any of which will do"
    )
    answerable: bool = True
    language: str = Field(default="", description="of the answer; empty: as detected in the question")

    @model_validator(mode="after")
    def _asks(self) -> ChatRecord:
        if bool(self.question) == bool(self.messages):
            raise ValueError("give either question or messages")
        return self

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The conversation as a job takes it."""
        if self.question:
            return [{"role": "user", "content": self.question}]
        return [message.model_dump() for message in self.messages]

    @property
    def last(self) -> str:
        """The question itself."""
        return self.question or self.messages[-1].content


class SearchRecord(Asked):
    """A query, and the sources that should be found."""

    task: Literal["search"] = "search"
    query: Text


class SummarizeRecord(BaseRecord):
    """A text, and how people summarised it."""

    task: Literal["summarize"] = "summarize"
    text: Texts = Field(description="one text or several that become one summary")
    reference: Texts = Field(default_factory=list)
    focus: str = ""


class TranslateRecord(BaseRecord):
    """A text, and how people translated it."""

    task: Literal["translate"] = "translate"
    source: Text = Field(description="the text")
    target: Text = Field(description="into which language")
    language: str = Field(default="", description="of the text; empty: left to be found")
    reference: Texts = Field(default_factory=list)


class DescribeRecord(BaseRecord):
    """A picture in the set's folder, and what it shows."""

    task: Literal["describe"] = "describe"
    image: Texts = Field(description="a file in the set's folder, or several")
    question: str = ""
    text: str = Field(default="", description="the words that can be read in it")
    reference: Texts = Field(default_factory=list, description="descriptions by people")
    fields: dict[str, str] = Field(default_factory=dict, description="what the answer, as JSON, should hold")


Record = Annotated[
    ChatRecord | SearchRecord | SummarizeRecord | TranslateRecord | DescribeRecord, Field(discriminator="task")
]
RECORD: TypeAdapter[Record] = TypeAdapter(Record)
TASKS = ("chat", "search", "summarize", "translate", "describe")
